"""Files of the bridge, handled by descriptor: no name is followed to a place that somebody else has chosen.

The program may run as root in a directory that belongs to the service's account. Whoever has that account could put
a symbolic or hard link where a file of ours is expected; such a file is refused, and owner and mode are changed by
descriptor only.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path


_OF_GROUP: Final = 0o660


class ForeignFileError(OSError):
    """What lies at the place of a file of ours is a link, has a second name, or is no regular file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(errno.EPERM, f"{reason}; remove it", str(path))


def open_own(path: Path, flags: int, mode: int = 0o600) -> int:
    """Open a regular file that has this one name, and give one that root creates to the directory's owner.

    Args:
        path: the file; it must not be a link.
        flags: as for `os.open`, e.g. `os.O_RDWR | os.O_CREAT`.
        mode: of a file that is created; where a group shares the directory, the group may do what its owner may.

    Returns:
        A descriptor, closed on exec.

    Raises:
        ForeignFileError: something else lies there.
        OSError: as for `os.open`.
    """
    try:
        # Without O_NONBLOCK a FIFO that was put there would hold us up for ever.
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, mode)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK}:
            raise ForeignFileError(path, "it is a symbolic link") from error
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ForeignFileError(path, "it is not a regular file")
        if found.st_nlink > 1:
            raise ForeignFileError(path, "it has a second name (hard link)")
        if flags & os.O_CREAT:
            if found.st_uid == os.geteuid() and shared_by_group(path.parent):
                os.fchmod(descriptor, _OF_GROUP)  # whatever the umask
            if os.geteuid() == 0:
                _give_to_owner(descriptor, found, path.parent)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def shared_by_group(directory: Path) -> bool:
    """Whether all of a group may do in a directory what its owner may (setgid, writable for the group)."""
    of_group = stat.S_ISGID | stat.S_IWGRP
    try:
        return directory.stat().st_mode & of_group == of_group
    except OSError:
        return False


def _give_to_owner(descriptor: int, found: os.stat_result, directory: Path) -> None:
    """What root creates by hand in a service's directory must not shut the service out."""
    owner = directory.stat()
    if (found.st_uid, found.st_gid) == (owner.st_uid, owner.st_gid):
        return
    try:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    except PermissionError:  # root without CAP_CHOWN, as in a container: what it may write is good enough
        if not os.access(directory, os.W_OK):
            raise
