"""Quotas of single owners, in place of the settings': as servers know them, and operators."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from pydantic import ValidationError

from app.identity import check_owner
from app.settings import QuotaSettings
from app.snapshot import Snapshot
from app.store import Store
from qdispatch.errors import RequestError

#: By owner and name.
OwnQuotas: TypeAlias = Mapping[str, Mapping[str, float]]


class KnownQuotas:
    """The quotas of single owners, without a question to the database for each call.

    Args:
        store: The database.
        refresh_s: How often they are read, in seconds.
    """

    def __init__(self, *, store: Store, refresh_s: float) -> None:
        self._store = store
        self._quotas = Snapshot(self._read, name="the quotas", every_s=refresh_s)

    def start(self) -> None:
        """Reads them, and goes on doing so."""
        self._quotas.start()

    def close(self) -> None:
        """Ends the reading."""
        self._quotas.close()

    def __call__(self) -> OwnQuotas:
        """The quotas.

        Raises:
            UnavailableError: They could not be read for too long.
        """
        return self._quotas.value()

    def _read(self) -> OwnQuotas:
        with self._store.read() as tx:
            return tx.usage.quotas()


class QuotaControl:
    """What operators do with the quotas of single owners.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def quotas(self) -> OwnQuotas:
        """All of them."""
        with self._store.read() as tx:
            return tx.usage.quotas()

    def give(self, owner: str, quotas: Mapping[str, str]) -> dict[str, float]:
        """Gives an owner quotas of their own, all of these or none.

        Args:
            owner: The owner.
            quotas: As they would be written in the settings, by name.

        Returns:
            The quotas as they were understood.

        Raises:
            RequestError: That is no name of an owner, or a quota is unknown or no number.
        """
        check_owner(owner)
        _check_names(quotas)
        values = _values(quotas)
        with self._store.write() as tx:
            for name, value in values.items():
                tx.usage.set_quota(owner, name, value)
        return values

    def take_back(self, owner: str, names: Collection[str]) -> set[str]:
        """Has the settings' quotas be an owner's again.

        Args:
            owner: The owner.
            names: Of the quotas; none for all.

        Returns:
            Those that were the owner's own.

        Raises:
            RequestError: That is no name of an owner, or a quota is unknown.
        """
        check_owner(owner)
        _check_names(names)
        with self._store.write() as tx:
            wanted = names or QuotaSettings.model_fields
            return {name for name in wanted if tx.usage.unset_quota(owner, name)}


def _check_names(names: Collection[str]) -> None:
    known = QuotaSettings.model_fields
    for name in names:
        if name not in known:
            raise RequestError(
                f"there is no quota {name[:40]!r}; there are: {', '.join(known)}", field="quota"
            )


def _values(quotas: Mapping[str, str]) -> dict[str, float]:
    try:
        read = QuotaSettings.model_validate(dict(quotas)).model_dump()
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0])
        raise RequestError(
            f"{name} cannot be {quotas[name][:40]!r}: {wrong['msg']}; 0 is for no limit",
            field="quota",
        ) from error
    return {name: float(read[name]) for name in quotas}
