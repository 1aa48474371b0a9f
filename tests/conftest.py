"""What all tests share: a state folder of their own, and both databases."""

import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa
from moteye.store import schema
from support.canary import (  # noqa: F401  hooks and a fixture of the whole run (T59)
    _canaries,
    pytest_configure,
    pytest_runtest_makereport,
)
from support.postgres import postgres_server


@pytest.fixture(autouse=True, scope="session")
def _cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _state_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def postgres():
    with tempfile.TemporaryDirectory(prefix="moteye-pg-") as folder:
        Path(folder).chmod(0o755)
        with postgres_server(Path(folder) / "pg") as url:
            yield url


@pytest.fixture
def empty_postgres(postgres):
    """A PostgreSQL database that holds nothing yet."""
    engine = sa.create_engine(postgres.replace("postgresql:", "postgresql+psycopg:"))
    schema.metadata.drop_all(engine)
    engine.dispose()
    return postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    """A database that holds nothing yet."""
    if request.param == "sqlite":
        return str(tmp_path / "deep" / "moteye.db")
    return request.getfixturevalue("empty_postgres")
