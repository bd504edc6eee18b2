"""A disk that fails on request: a layer in SQLite's own file system interface."""

import apsw


class FaultyFile(apsw.VFSFile):
    def __init__(self, disk: "FaultyDisk", name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self.disk = disk

    def xSync(self, flags: int) -> None:
        self.disk.syncs += 1
        if self.disk.fails == "sync":
            raise failure(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if self.disk.fails == "write":
            raise failure(apsw.SQLITE_IOERR_WRITE)
        if self.disk.fails == "full":
            raise apsw.FullError("database or disk is full")
        super().xWrite(data, offset)


class FaultyDisk(apsw.VFS):
    """`fails` is "" or what fails from now on: sync, write, full."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fails = ""
        self.syncs = 0
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return FaultyFile(self, name, flags)


def failure(code: int) -> apsw.Error:
    error = apsw.IOError("disk I/O error")
    setattr(error, "extendedresult", code)  # noqa: B010 - apsw's stubs give the base class only
    return error
