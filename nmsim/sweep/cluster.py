"""Points on several processes or machines, through dask.distributed."""

from __future__ import annotations

import logging
import os
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nmsim
from nmsim.errors import ClusterError
from nmsim.sweep.local import Engine, InProcess, Shared
from nmsim.sweep.points import Point
from nmsim.sweep.stages import Stage, toys, warm_up

if TYPE_CHECKING:
    from distributed import Client, Future
    from distributed.security import Security

_ADDRESS = re.compile(r"([a-z]+://)?[^/\s]+:\d{1,5}")

#: How long a scheduler, and then its first worker, may take to answer.
PATIENCE_S = 5

#: Workers that a point may lose before it is given up.
DEATHS = 2

#: What must be the same on all machines, so that all points are computed alike.
_PACKAGES = ("numpy", "numba", "scipy", "scikit-learn", "simpy", "dask", "distributed")

#: Points that are on the way at least, and for each worker.
_AT_LEAST, _PER_WORKER = 16, 4


@dataclass(frozen=True)
class TLS:
    """Files for a connection to a cluster that asks for TLS, as dask has them."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def __bool__(self) -> bool:
        return any((self.ca, self.cert, self.key))


class OnCluster:
    """Carries points out on the workers of a dask cluster, several side by side."""

    def __init__(self, client: Client):
        self._client, self._shared = client, Shared()

    def run(self, points: Sequence[Stage]) -> Iterator[tuple[Stage, Any]]:
        """See `Engine.run`; points come in the order in which they are done."""
        from distributed import as_completed

        self._shared.expect(points)
        left = iter(points)
        under_way: dict[Any, Stage] = {}
        finished = as_completed(loop=self._client.loop)
        while True:
            while len(under_way) < self._room() and (point := next(left, None)) is not None:
                future = self._submit(point)
                under_way[future.key] = point
                finished.add(future)
            if not under_way:
                return
            future = next(finished)
            point = under_way.pop(future.key)
            result = self._result(future)
            self._shared.done(point)
            del future
            yield point, result

    def _room(self) -> int:
        return max(_AT_LEAST, _PER_WORKER * len(self._client.nthreads()))

    def _submit(self, point: Stage) -> Future[Any]:
        for stage in point.all():
            future = self._shared.get(stage.key)
            if future is None:
                needs = [self._shared.get(need.key) for need in stage.needs]
                future = self._client.submit(
                    stage.work, stage.config, stage.scheme, *needs, key=stage.key, pure=True
                )
                self._shared.put(stage.key, future)
        return future

    def _result(self, future: Future[Any]) -> Any:
        from distributed.scheduler import KilledWorker

        if future.status == "cancelled":
            raise ClusterError("the connection to the scheduler is lost", hint="Start it again.")
        error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, KilledWorker):
            return ClusterError(f"{DEATHS + 1} workers died over this point, one after the other")
        return error if isinstance(error, Exception) else ClusterError(repr(error))


@contextmanager
def local_engine(points: Sequence[Point], jobs: int) -> Iterator[Engine]:
    """Give an engine of so many processes on this machine, which end with this one."""
    import dask
    from distributed import Client, LocalCluster

    for toy in toys(point.config for point in points if point.config is not None):
        warm_up(toy)
    threads = max(1, cores() // jobs)
    with (
        dask.config.set(_settings()),
        _quietly(),
        LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            preload=["nmsim.sweep.workers"],
            env={"NUMBA_NUM_THREADS": str(threads)},
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield OnCluster(client)


@contextmanager
def remote_engine(points: Sequence[Point], address: str, tls: TLS) -> Iterator[Engine]:
    """Give an engine on a cluster that somebody started.

    Raises
    ------
    ClusterError
        Where no scheduler answers, it has no workers, or one of them has other versions than this process.
    """
    import dask
    from distributed import Client

    if not _ADDRESS.fullmatch(address):
        expected = "tcp://HOST:PORT, or tls://HOST:PORT"
        raise ClusterError("this is no scheduler's address", found=address, expected=expected)
    security = _security(address, tls)
    with dask.config.set(_settings()), _quietly():
        try:
            client = Client(address, timeout=PATIENCE_S, set_as_default=False, security=security)
        except (OSError, ValueError, TypeError, ImportError) as error:
            raise ClusterError(
                "no scheduler answers",
                file=address,
                found=" ".join(str(error).split())[:160] or type(error).__name__,
                hint="Start one with `dask scheduler`, or leave --scheduler out for this machine alone.",
            ) from None
        with client:
            _check_workers(client, address)
            _warm_up_each_machine(client, points)
            yield OnCluster(client)


def _security(address: str, tls: TLS) -> Security | None:
    """Return what dask needs for TLS; None without."""
    from distributed.security import Security

    files = {"tls_ca_file": tls.ca, "tls_client_cert": tls.cert, "tls_client_key": tls.key}
    given = {name: str(path) for name, path in files.items() if path is not None}
    security = Security(require_encryption=True, **given) if tls else Security()  # dask's own settings
    if not address.startswith("tls://"):
        return None
    try:
        usable = security.get_connection_args("client").get("ssl_context") is not None
    except (OSError, ValueError) as error:
        found = " ".join(str(error).split()) or type(error).__name__
        raise ClusterError("the files for TLS cannot be used", file=address, found=found) from None
    if not usable:
        hint = "Give --tls-ca, --tls-cert and --tls-key."
        raise ClusterError("TLS needs a certificate", file=address, hint=hint)
    return security


def engine_of(jobs: int | None, scheduler: str | None, tls: TLS) -> Callable[[Sequence[Point]], Any]:
    """Return what gives the engine that is asked for, see `nmsim.sweep.run.EngineOf`."""
    if scheduler is not None:
        return lambda points: remote_engine(points, scheduler, tls)

    @contextmanager
    def here(points: Sequence[Point]) -> Iterator[Engine]:
        wanted = min(jobs or cores(), len(points))
        if wanted == 1:
            yield InProcess()
        else:
            with local_engine(points, wanted) as engine:
                yield engine

    return here


def cores() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions() -> dict[str, str]:
    """Return the versions that results can depend on."""
    found = {"nmsim": nmsim.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


def _check_workers(client: Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE_S)
    except TimeoutError:
        hint = f"Start some with `dask worker {address}`."
        raise ClusterError("the scheduler has no workers", file=address, hint=hint) from None
    own = versions()
    try:
        others = client.run(versions)
    except Exception as error:
        raise ClusterError(
            "a worker cannot run nmsim",
            file=address,
            found=" ".join(f"{type(error).__name__}: {error}".split())[:160],
            hint="Install the same version of nmsim on all machines.",
        ) from error
    for worker, its in others.items():
        for package, version in own.items():
            if its.get(package) != version:
                raise ClusterError(
                    f"this worker has another version of {package}",
                    file=worker,
                    found=its.get(package, "absent"),
                    expected=f"{version}, as here",
                    hint="Install the same versions on all machines, so that all points are computed alike.",
                )


def _warm_up_each_machine(client: Client, points: Iterable[Point]) -> None:
    """Compile the kernels with one worker of each machine, as others would get in its way."""
    first: dict[str, str] = {}
    for worker in client.nthreads():
        first.setdefault(worker.rsplit(":", 1)[0], worker)
    configs = list(toys(point.config for point in points if point.config is not None))
    for toy in configs:
        client.gather([client.submit(warm_up, toy, workers=[w], pure=False) for w in first.values()])


def _settings() -> dict[str, Any]:
    return {
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.comm.timeouts.connect": f"{PATIENCE_S}s",
        "distributed.worker.daemon": True,
    }


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep dask's own log lines off stderr: what matters of them comes back as errors of points."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
