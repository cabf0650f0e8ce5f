import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gr00t_assets.core.errors import StoreError, system_errors_explained
from gr00t_assets.core.files import (
    PARTIAL,
    append_line,
    published_directory,
    read_objects,
    write_json,
)
from gr00t_assets_tests.harness.sync_log import Disk, recorded


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "value.json"
    write_json(target, {"a": 1})
    write_json(target, {"a": 2})
    assert target.read_text() == '{\n  "a": 2\n}\n'
    assert [path.name for path in target.parent.iterdir()] == ["value.json"]


def test_nan_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    target = tmp_path / "value.json"
    write_json(target, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(target, {"a": float("nan")})
    assert '"a": 1' in target.read_text()


def test_a_folder_above_that_may_not_be_made_is_told_as_well(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(StoreError, match="may not use"):
            write_json(tmp_path / "new" / "value.json", {})
        with (
            pytest.raises(StoreError, match="may not use"),
            published_directory(tmp_path / "new" / "whole"),
        ):
            pass
    finally:
        os.seteuid(user)


def test_a_folder_that_fails_half_way_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), published_directory(tmp_path / "whole") as partial:
        (partial / "first").write_text("x")
        raise RuntimeError("half way")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_already_is_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with published_directory(tmp_path / "whole") as partial:
            (partial / "a").write_text(text)
    assert (tmp_path / "whole" / "a").read_text() == "first"


def test_a_folder_that_is_replaced_is_deleted_once_the_new_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def looked(folder: Path, **options: object) -> None:
        seen.append((tmp_path / "whole" / "a").read_text())
        if folder.is_dir():
            delete(folder)

    delete = shutil.rmtree
    for text in ("first", "second"):
        with published_directory(tmp_path / "whole", replace=True) as partial:
            (partial / "a").write_text(text)
        monkeypatch.setattr("shutil.rmtree", looked)
    assert set(seen) == {"second"}
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_a_writer_killed_with_9_leaves_no_folder_of_the_final_name(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from gr00t_assets.core.files import published_directory\n"
        "with published_directory(Path(sys.argv[1])) as partial:\n"
        "    (partial / 'a').write_text('a'); print('ready', flush=True); time.sleep(60)\n"
    )
    target = tmp_path / "whole"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGKILL)
    assert not target.exists()
    assert [PARTIAL in path.name for path in tmp_path.iterdir()] == [True]


def test_a_full_disk_is_explained(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"disk is full .*\n.*GR00T_ASSETS_STORE"),
        system_errors_explained(tmp_path / "not" / "there"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_another_os_error_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), system_errors_explained(tmp_path):
        raise PermissionError(errno.EACCES, "no")


def test_a_really_full_disk_leaves_what_was_there() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(StoreError), system_errors_explained(full), full.open("wb") as file:
        file.write(b"x" * 1_000_000)


def synced(log: Path) -> list[str]:
    return [json.loads(path.read_text())["path"] for path in sorted(log.glob("*.json"))]


def test_every_folder_and_file_of_what_is_published_is_on_the_disk_before_it(
    tmp_path: Path,
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with (
        recorded(root, tmp_path / "log"),
        published_directory(root / "new" / "runs" / "whole") as partial,
    ):
        (partial / "inner" / "most").mkdir(parents=True)
        (partial / "inner" / "most" / "file").write_text("x")
        hidden = str(partial)
    paths = synced(tmp_path / "log")
    assert paths[:2] == [str(root), str(root / "new")]
    within = {"", "/inner", "/inner/most", "/inner/most/file"}
    assert {path.removeprefix(hidden) for path in paths[2:-1]} == within
    assert paths[-1] == str(root / "new" / "runs")
    Disk(root, tmp_path / "log").after(len(paths))
    assert (root / "new" / "runs" / "whole" / "inner" / "most" / "file").read_text() == "x"


def test_a_folder_is_replaced_where_that_is_asked_for(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with published_directory(tmp_path / "whole", replace=True) as partial:
            (partial / "a").write_text(text)
    assert (tmp_path / "whole" / "a").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_a_line_after_a_torn_one_stands_alone(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    for line in (b'{"a": 1}', b'{"a": 2}'):
        append_line(file, line)
        with file.open("ab") as torn:
            torn.write(b'{"a": ')
    assert file.read_bytes() == b'{"a": 1}\n{"a": \n{"a": 2}\n{"a": '
    assert read_objects(file) == [{"a": 1}, {"a": 2}]
    assert read_objects(tmp_path / "none") == []
