"""What a pack consists of at its source, and under which revision."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests

from portrait_head.errors import PortraitHeadError
from portrait_head.models.catalogue import Pack
from portrait_head.models.layout import choose
from portrait_head.models.packages import missing
from portrait_head.models.transfer import Patience, RemoteFile, gone, unreachable


@dataclass(frozen=True)
class Listing:
    """The files of a pack at its source.

    Attributes:
        files: what is downloaded; one zip for an InsightFace pack.
        archive: whether that is a zip to be unpacked.
    """

    revision: str
    files: tuple[RemoteFile, ...]
    archive: bool = False


def list_files(pack: Pack, revision: str, patience: Patience) -> Listing:
    """Ask the pack's host for its files at `revision`, with sizes and, where it tells them, checksums.

    Raises:
        PortraitHeadError: `no_network`, `download_gone`, `download_refused`, `wrong_layout`.
    """
    if pack.host == "huggingface":
        return _huggingface(pack, revision, patience)
    if pack.host == "insightface":
        return Listing(revision, (_head(pack.source, pack.source.rsplit("/", 1)[-1], patience),), archive=True)
    files = tuple(_head(f"{pack.source}/{name}", name, patience) for name in pack.files)
    return Listing(revision, files)


def _huggingface(pack: Pack, revision: str, patience: Patience) -> Listing:
    try:
        import huggingface_hub
        from huggingface_hub import constants, errors
    except ImportError as error:
        raise missing("huggingface_hub", error) from error
    endpoint = os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")
    host = str(urlsplit(endpoint).hostname)
    try:
        info = huggingface_hub.HfApi(endpoint=endpoint).model_info(
            pack.source, revision=revision, files_metadata=True, timeout=patience.timeout_s
        )
    except errors.GatedRepoError as error:
        raise PortraitHeadError(
            "download_refused",
            f"{pack.source} is only given to those who accepted its terms on {host}.",
            "Accept them on the model's page and set HF_TOKEN to your access token.",
        ) from error
    except (errors.RevisionNotFoundError, errors.RepositoryNotFoundError) as error:
        raise gone(host, f"{pack.source} at revision {revision}") from error
    except (errors.HTTPError, OSError) as error:  # pyright: ignore[reportPrivateImportUsage]
        raise unreachable(host, error) from error
    siblings = {item.rfilename: item for item in info.siblings or ()}
    commit = str(info.sha)
    headers: Mapping[str, str] = huggingface_hub.utils.build_hf_headers()
    files = []
    for part in choose(pack, siblings):
        item = siblings[part.source]
        url = huggingface_hub.hf_hub_url(pack.source, part.source, revision=commit, endpoint=endpoint)
        checksum = item.lfs.sha256 if item.lfs else None
        files.append(RemoteFile(part.source, url, item.size, checksum, commit, headers))
    return Listing(commit, tuple(files))


def _head(url: str, path: str, patience: Patience) -> RemoteFile:
    """Size and version of a file, without its contents."""
    host = str(urlsplit(url).hostname)
    try:
        answer = requests.head(
            url, headers={"Accept-Encoding": "identity"}, allow_redirects=True, timeout=patience.timeout_s
        )
    except (requests.ConnectionError, requests.Timeout) as error:
        raise unreachable(host, error) from error
    if not answer.ok:
        raise gone(host, f"{path} ({answer.status_code} {answer.reason})")
    size = answer.headers.get("Content-Length")
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    return RemoteFile(path, url, int(size) if size else None, version=version)
