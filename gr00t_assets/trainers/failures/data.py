"""Faults of a dataset that ``gr00t-assets dataset check`` finds before a training does."""

from gr00t_assets.trainers.failures.known import Known, told

_CHECK = "everything that is wrong with it: {check}"

KNOWN = (
    Known(
        "camera",
        (
            r"Video key (?P<key>\S+) not found in dataset metadata\. "
            r"Available keys: dict_keys\((?P<has>.*?)\)",
        ),
        told(
            "camera '{key}' is not in the dataset {dataset}.",
            "data config {data_config} asks for it; the dataset has: {has}",
            "choose another data_config in data/datasets.yaml, or mend its meta/modality.json",
            _CHECK,
        ),
    ),
    Known(
        "key",
        (
            r"Unable to find key (?P<key>\S+) in modality metadata",
            r"AssertionError: subkey='(?P<key2>\w+)' not found in modality_config=",
        ),
        told(
            "{key}{key2} is not in meta/modality.json of the dataset {dataset}.",
            "data config {data_config} asks for it",
            "choose another data_config in data/datasets.yaml, or add the key to that file",
            _CHECK,
        ),
    ),
    Known(
        "embodiment-tag",
        (r"No metadata found for embodiment tag:? ?(?P<tag>\S*)",),
        told(
            "the model has no metadata of the embodiment tag {tag}.",
            "it was trained with another tag: compare embodiment_tag in data/datasets.yaml with "
            "experiment_cfg/metadata.json of the model {base_model}",
        ),
    ),
    Known(
        "slice",
        (
            r"IndexError: index (?P<index>-?\d+) is out of bounds for axis \d+ with size "
            r"(?P<size>\d+)",
        ),
        told(
            "a number at place {index} was asked of a vector of {size}.",
            "a slice in meta/modality.json of {dataset} ends past the vector, as a rule",
            _CHECK,
        ),
    ),
    Known(
        "parquet",
        (
            r"Parquet file not found at (?P<file>.+)",
            r"No such file or directory: '(?P<file2>[^']+\.parquet)'",
            r"Parquet magic bytes not found in footer",
            r"ArrowInvalid: .*[Pp]arquet",
        ),
        told(
            "an episode's parquet file is missing or damaged.",
            "bring it back, or take the episode out of meta/episodes.jsonl",
            _CHECK,
        ),
    ),
    Known(
        "av1",
        (
            r"cannot find video stream with wanted index: -1",
            r"Missing Sequence Header",
            r"Your platform doesn't suppport hardware accelerated AV1 decoding",
        ),
        told(
            "the video reader cannot decode these videos: decord has no AV1.",
            "with frame_source: cache no video is read while it trains",
            "or video_backend: torchcodec",
            _CHECK,
        ),
        anywhere=True,
    ),
    Known(
        "video",
        (
            r"Error reading (?P<file>\S+\.(?:mp4|avi|mkv|webm))\.\.\.",
            r"No such file or directory: '(?P<file2>[^']+\.(?:mp4|avi|mkv|webm))'",
            r"Unable to open video file: (?P<file3>.+)",
            r"moov atom not found",
            r"InvalidDataError",
        ),
        told(
            "an episode's video is missing, cut short or in a codec that the reader does not know.",
            "bring it back, or take the episode out of meta/episodes.jsonl; decord reads no AV1",
            _CHECK,
        ),
    ),
    Known(
        "column",
        (
            r"AssertionError: No (?P<column>[\w.]+) found in (?:self\.)?trajectory_id=",
            r"KeyError: '(?P<column2>observation\.[\w.]+|action|timestamp|task_index)'",
        ),
        told(
            "a column is missing in an episode's parquet file: {column}{column2}.",
            "meta/modality.json of {dataset} names it",
            _CHECK,
        ),
    ),
    Known(
        "meta",
        (
            r"Please provide a (?P<file>meta/\S+) file",
            r"No such file or directory: '[^']*/(?P<file2>meta/[\w.]+)'",
        ),
        told("{file}{file2} of the dataset {dataset} is missing.", _CHECK),
    ),
    Known(
        "tasks",
        (r"""None of \['task_index'\] are in the columns""",),
        told("meta/tasks.jsonl of the dataset {dataset} lists no task.", _CHECK),
    ),
)
