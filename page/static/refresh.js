// Brings the parts marked data-live up to date in place, so that nothing scrolls.
"use strict";

const stale = document.getElementById("stale");

function take(fresh) {
  const typing = document.activeElement?.closest("form");
  for (const part of document.querySelectorAll("[data-live]")) {
    const newer = fresh.getElementById(part.id);
    if (newer && newer.outerHTML !== part.outerHTML && !(typing && part.contains(typing))) {
      part.replaceWith(document.adoptNode(newer));
    }
  }
  document.body.dataset.everyS = fresh.body.dataset.everyS;
}

async function refresh() {
  try {
    if (!document.hidden) {
      const answer = await fetch(location.href, { cache: "no-store" });
      if (answer.ok && !document.querySelector(".trouble")) {
        take(new DOMParser().parseFromString(await answer.text(), "text/html"));
        stale.hidden = true;
      } else if (answer.ok) {
        location.reload();
      } else {
        stale.hidden = false;
      }
    }
  } catch {
    stale.hidden = false;
  }
  plan();
}

function plan() {
  const everyS = Number(document.body.dataset.everyS);
  if (everyS > 0) setTimeout(refresh, everyS * 1000);
}

plan();
