"""A dataset behind an S3 URL, on a real server on loopback that can be told to misbehave."""

import json
import subprocess
from pathlib import Path

import pytest
import stand_in

pytest.importorskip("s3fs", reason="extra `cluster`")
pytest.importorskip("moto.server", reason="extra `dev`")

import fsspec  # noqa: E402
from s3_server import BUCKET, s3_server  # noqa: E402

from simgen.dataset import local_copy, open_storage, read_shards  # noqa: E402
from simgen.dataset.check import check_dataset  # noqa: E402
from simgen.dataset.files import owner  # noqa: E402
from simgen.errors import ConfigError, DatasetError  # noqa: E402
from simgen.execute.render import render_dataset  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="session")
def server():
    with s3_server() as proxy:
        yield proxy


@pytest.fixture
def s3(server, monkeypatch, tmp_path):
    """The store, emptied, as every process of this test sees it."""
    server.fault = lambda method, path: None
    settings = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "TMPDIR": str(tmp_path / "tmp"),
    }
    (tmp_path / "tmp").mkdir()
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", None)
    # What other tests opened is kept by its arguments, among which the endpoint is not.
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    fs = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
    if fs.exists(BUCKET):
        fs.rm(BUCKET, recursive=True)
    fs.mkdir(BUCKET)
    server.requests.clear()
    yield fs
    server.fault = lambda method, path: None


@pytest.fixture(scope="session")
def flat_four(tmp_path_factory):
    """A dataset in a folder, of the frames that these tests render into the store."""
    out = tmp_path_factory.mktemp("four") / "d"
    render(out, frames=4)
    return out


def render(out, **keys):
    config = stand_in.config(out, **keys)
    return render_dataset(config, stand_in.CATEGORIES, renderer="stand_in:StandIn")


def by_frame(folder):
    coco = json.loads((folder / "coco.json").read_text())
    images = {i["frame"]: (folder / i["file_name"]).read_bytes() for i in coco["images"]}
    return images, coco["annotations"]


URL = f"s3://{BUCKET}/some/dataset"


def test_a_dataset_in_s3_holds_the_same_images_and_labels_as_one_in_a_folder(s3, tmp_path):
    rendered = render(URL, workers=2)
    assert (rendered.out, rendered.new_frames) == (URL, 6)
    render(tmp_path / "d")
    copy = local_copy(URL)
    assert by_frame(copy) == by_frame(tmp_path / "d")
    assert check_dataset(copy).faults == ()
    # Names in coco.json are those of the objects, for readers that know nothing of ours.
    coco = json.loads(s3.cat(f"{URL}/coco.json"))
    assert s3.cat(f"{URL}/{coco['images'][3]['file_name']}") == by_frame(copy)[0][3]
    assert json.loads(s3.cat(f"{URL}/manifest.json"))["frames"] == 6
    assert list((tmp_path / "tmp").rglob("*.png")) == []


def test_again_renders_what_is_missing_and_another_config_is_refused(s3):
    render(URL, frames=3)
    s3.rm(f"{URL}/shards/00000.json")
    assert render(URL, frames=4).new_frames == 3
    assert render(URL, frames=4).new_frames == 0
    with pytest.raises(DatasetError, match=f"out: {URL} holds a dataset of another config .*seed"):
        render(URL, frames=4, seed=1)
    s3.pipe(f"s3://{BUCKET}/thesis/thesis.tex", b"x")
    with pytest.raises(DatasetError, match="holds 'thesis.tex' and is no dataset"):
        render(f"s3://{BUCKET}/thesis")


def written(folder, byte):
    """An attempt at shard 0 as a worker leaves it."""
    (folder / "frames.jsonl").write_bytes(byte)
    files = {"frames.jsonl": byte.hex()}
    text = json.dumps({"number": 0, "first": 0, "stop": 1, "files": files})
    (folder / "manifest.json").write_text(text)


def test_of_two_attempts_one_is_committed_and_the_other_leaves_nothing(s3):
    first, second = open_storage(URL), open_storage(URL)
    with first.attempt("00000") as a, second.attempt("00000") as b:
        written(a, b"a")
        written(b, b"b")
        assert not first.has_shard("00000")
        assert first.commit(a, "00000")
        assert first.has_shard("00000")
        assert not second.commit(b, "00000")
    (folder,) = [p for p in s3.ls(f"{URL}/shards", detail=False) if not p.endswith(".json")]
    assert s3.cat(f"{folder}/frames.jsonl") == b"a"


def test_an_attempt_with_the_same_bytes_takes_nothing_from_the_one_that_won(s3):
    storage = open_storage(URL)
    for _ in range(2):
        with storage.attempt("00000") as folder:
            written(folder, b"a")
            # Also what a repeated put after a lost answer sees: its own manifest.
            assert storage.commit(folder, "00000")
    assert len(s3.find(f"{URL}/shards")) == 2


def test_objects_of_an_attempt_that_died_are_swept_once_its_shard_is_committed(s3):
    s3.pipe(f"{URL}/shards/00001-0123456789abcdef/images/00000002.png", b"half")
    gone = subprocess.Popen(["true"])
    gone.wait()
    s3.pipe(f"{URL}/shards/.probe-{owner().rpartition('_')[0]}_{gone.pid}", b"1")
    render(URL)
    names = [p.rpartition("/")[2] for p in s3.ls(f"{URL}/shards", detail=False)]
    assert len(names) == 6 and "00001-0123456789abcdef" not in names


def test_a_store_that_fails_midway_is_one_message_and_a_rerun_completes(
    s3, server, flat_four, monkeypatch
):
    quick = {"connect_timeout": 1, "read_timeout": 0.4, "retries": {"max_attempts": 0}}
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": quick})
    monkeypatch.setenv("FSSPEC_S3", json.dumps({"config_kwargs": quick}))
    for number, fault in enumerate(["500", "reset", "slow"], start=1):
        refused = f"/shards/{number:05d}"
        server.fault = lambda method, path, fault=fault, refused=refused: (
            fault if method == "PUT" and refused in path else None
        )
        with pytest.raises(DatasetError) as caught:
            render(URL, frames=4, shard_size=1)
        message = str(caught.value)
        assert message.startswith(f"{URL}: the store answered ") and "\n" not in message
        assert "it goes on where it stopped" in message
        # What was committed before stays readable.
        server.fault = lambda method, path: None
        storage = open_storage(URL)
        storage.pull(records=True)
        shards = read_shards(storage.folder)
        assert [shard.range.first for shard in shards] == list(range(number))
        lines = [(shard.folder / "frames.jsonl").read_text() for shard in shards]
        assert [json.loads(line)["frame"] for line in lines] == list(range(number))
        storage.close()
    # The last shard gets through, the finished dataset does not.
    server.fault = lambda method, path: (
        "500" if method == "PUT" and path.endswith("/coco.json") else None
    )
    with pytest.raises(DatasetError, match="the store answered .*it goes on where it stopped"):
        render(URL, frames=4, shard_size=1)
    server.fault = lambda method, path: None
    assert not s3.exists(f"{URL}/manifest.json")
    assert render(URL, frames=4, shard_size=1).new_frames == 0
    assert by_frame(local_copy(URL)) == by_frame(flat_four)


def test_one_lost_answer_is_no_failure(s3, server, flat_four):
    lost = []

    def loses(method, path):
        if method == "PUT" and path.endswith("/shards/00001.json") and not lost:
            lost.append(path)
            return "lost"
        return "500" if method == "PUT" and path.endswith("3.png") and _first(lost, path) else None

    server.fault = loses
    assert render(URL, frames=4).new_frames == 4
    assert by_frame(local_copy(URL)) == by_frame(flat_four)


def _first(seen, path):
    if path in seen:
        return False
    seen.append(path)
    return True


def test_a_store_without_exclusive_create_is_refused_before_rendering(s3, server, monkeypatch):
    plain = fsspec.get_filesystem_class("s3")._pipe_file

    async def ignores_mode(self, path, data, mode="overwrite", **kwargs):
        return await plain(self, path, data, **kwargs)

    monkeypatch.setattr("s3fs.S3FileSystem._pipe_file", ignores_mode)
    monkeypatch.setattr("s3fs.S3FileSystem.cachable", False)
    with pytest.raises(DatasetError, match="cannot create a name for one writer only"):
        render(URL)
    assert s3.find(URL) == []


def test_a_bucket_that_is_not_there_is_one_message(s3):
    with pytest.raises(DatasetError, match="s3://nowhere/d: the store answered .*bucket"):
        render("s3://nowhere/d")


@pytest.mark.parametrize(("url", "message"), [("gs://b/d", "needs gcsfs"), ("foo://b", "foo")])
def test_a_url_that_nothing_here_can_open_names_the_remedy(url, message):
    with pytest.raises(ConfigError, match=message):
        open_storage(url)


def test_a_copy_of_a_dataset_with_a_changed_object_or_name_is_refused(s3, tmp_path):
    render(URL, frames=2)
    image = next(p for p in s3.find(f"{URL}/shards") if p.endswith("00000001.png"))
    before = s3.cat(image)
    s3.pipe(image, b"not this")
    with pytest.raises(DatasetError, match="00000001.png: differs from its hash"):
        local_copy(URL)
    s3.pipe(image, before)
    assert len(by_frame(local_copy(URL))[0]) == 2
    text = s3.cat(f"{URL}/shards/00000.json").decode()
    s3.pipe(f"{URL}/shards/00000.json", text.replace('"images/00000001.png"', '"../../x"').encode())
    with pytest.raises(DatasetError, match="00000.json"):
        local_copy(URL)
    assert not list(Path(tmp_path).rglob("x"))
