"""The client against a server that encrypts, and wants to know who calls."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import trustme

from app.known_tokens import TokenControl
from app.settings import Settings, TlsSettings
from qdispatch import AsyncClient, Client
from qdispatch.errors import AuthenticationError, HandshakeError, JobNotFoundError
from tests.client.papers import Papers
from tests.integration.test_authentication import serving
from tests.specs import bell
from tests.waiting import wait_until
from tests.world import World, make_settings


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(trustme.CA(), tmp_path_factory.mktemp("papers"))


@pytest.fixture(params=["token", "certificate"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str, papers: Papers
) -> Settings:
    made = papers.authority.issue_cert("localhost")
    by_certificate = request.param == "certificate"
    tls = TlsSettings(
        certificate=str(papers.file("server.pem", *made.cert_chain_pems)),
        key=str(papers.file("server.key", made.private_key_pem)),
        client_ca=str(papers.ca_file) if by_certificate else "",
    )
    return make_settings(
        tmp_path,
        database_url=database_url,
        server={"address": "127.0.0.1:0", "cancel_wait_s": 0},
        auth={"mode": request.param, "refresh_s": 0.2, "admins": ["root"]},
        tls=tls,
    )


def test_owners_have_their_jobs_and_administrators_have_all(
    world: World, papers: Papers, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = TokenControl(store=world.store, clock=world.clock)

    def shown(owner: str) -> dict[str, str]:
        """What a client of an owner shows: a token, or a certificate with its key."""
        if world.settings.auth.mode == "token":
            return {"token": control.create(owner, is_admin=owner == "root")[0]}
        made = papers.authority.issue_cert(f"{owner}@qdispatch.test", common_name=owner)
        file = papers.file(f"{owner}.pem", made.private_key_pem, *made.cert_chain_pems)
        return {"cert_file": str(file)}

    monkeypatch.setenv("QDISPATCH_CA_FILE", str(papers.ca_file))
    with serving(world) as port:
        address = f"localhost:{port}"
        with Client(address, **shown("me")) as client:
            job = client.create_job(bell(priority=2))
            assert (job.owner, job.spec.priority) == ("me", 2)
        with Client(address, **shown("you")) as client:
            assert list(client.jobs()) == []
            with pytest.raises(JobNotFoundError):
                client.get_job(job.id)
        with Client(address, **shown("root")) as client:
            assert [each.id for each in client.jobs(owner="me")] == [job.id]
            assert list(client.jobs(owner="you")) == []

        async def run() -> bool:
            async with AsyncClient(address, **shown("me")) as client:
                assert (await client.get_job(job.id)).id == job.id
                return await client.is_serving()

        assert asyncio.run(run())
        with Client(address) as client, pytest.raises((AuthenticationError, HandshakeError)):
            client.targets()
        with Client(f"127.0.0.1:{port}", **shown("me")) as client:
            with pytest.raises(HandshakeError, match="not made out to this host"):
                client.targets()


@pytest.mark.parametrize("settings", ["token"], indirect=True)
def test_a_token_that_ends_is_told_with_what_to_do(world: World, papers: Papers) -> None:
    control = TokenControl(store=world.store, clock=world.clock)
    token, row = control.create("me")
    with serving(world) as port:
        options = {"ca_file": papers.ca_file, "timeout_s": 20}
        with Client(f"localhost:{port}", token="", **options) as client:
            with pytest.raises(AuthenticationError, match=r"asks for a token.*QDISPATCH_TOKEN"):
                client.targets()
        told: list[str] = []

        def is_refused() -> bool:
            try:
                client.targets()
            except AuthenticationError as error:
                told.append(str(error))
            return bool(told)

        with Client(f"localhost:{port}", token=token, **options) as client:
            assert not is_refused()
            control.revoke([row.id])
            assert wait_until(is_refused, 20)
        assert told[0].count("app token create") == 1
        assert "was revoked" in told[0]
        assert token not in told[0]
