"""Files and folders that appear whole or not at all."""

import ast
from pathlib import Path

import pytest

import datashop_assets
import resources
from datashop_assets.storage import writing
from datashop_assets.storage.writing import creating_folder, replacing


class KilledError(Exception):
    pass


def write_half(place: Path) -> None:
    with replacing(place) as ready:
        ready.write_bytes(b"half")
        raise KilledError


def fill_half(place: Path) -> None:
    with creating_folder(place) as ready:
        (ready / "one").write_text("half")
        raise KilledError


def fill_where_a_file_stands(place: Path) -> None:
    with creating_folder(place) as ready:
        (ready / "one").write_text("whole")
        place.write_text("a file stands there")


def test_a_file_written_by_name_replaces_the_old_one_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "new" / "weights"
    with replacing(place) as ready:
        ready.write_bytes(b"first")
        assert not place.exists()
    with pytest.raises(KilledError):
        write_half(place)
    assert {path.name: path.read_bytes() for path in place.parent.iterdir()} == {"weights": b"first"}


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    place = tmp_path / "cache" / "pool"
    with pytest.raises(KilledError):
        fill_half(place)
    assert list(place.parent.iterdir()) == []
    with creating_folder(place) as ready:
        (ready / "documents").mkdir()
        (ready / "documents" / "one").write_text("whole")
        assert not place.exists()
    assert (place / "documents" / "one").read_text() == "whole"
    assert list(place.parent.iterdir()) == [place]


def test_of_two_folders_made_at_once_the_first_one_stays(tmp_path: Path) -> None:
    place = tmp_path / "pool"
    with creating_folder(place) as late:
        (late / "one").write_text("second")
        with creating_folder(place) as early:
            (early / "one").write_text("first")
    assert (place / "one").read_text() == "first"
    assert list(tmp_path.iterdir()) == [place]


def test_a_folder_that_cannot_be_put_in_place_is_an_error(tmp_path: Path) -> None:
    place = tmp_path / "pool"
    with pytest.raises(NotADirectoryError):
        fill_where_a_file_stands(place)
    assert list(tmp_path.iterdir()) == [place]


def test_one_module_puts_files_and_folders_in_place() -> None:
    modules = [path for package in (datashop_assets, resources) for path in Path(package.__path__[0]).rglob("*.py")]
    renaming = [path for path in modules if any(map(_renames, ast.walk(ast.parse(path.read_text()))))]
    assert [path.name for path in renaming] == [Path(writing.__file__).name]


def _renames(node: ast.AST) -> bool:
    """`path.rename(other)`, `path.replace(other)`, `os.replace(one, other)`; not `frame.rename({...})`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    name, owner = node.func.attr, node.func.value
    if isinstance(owner, ast.Name) and owner.id in ("os", "shutil"):
        return name in ("rename", "renames", "replace", "link", "move")
    one_place = len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Dict)
    return one_place and name in ("rename", "replace")
