"""Packages of the trainer's Python that are missing or do not go together, and W&B's key."""

from gr00t_assets.trainers.failures.known import Known, told

_SEE = "see all of it: gr00t-assets isaac doctor"

KNOWN = (
    Known(
        "flash-attn",
        (
            r"No module named 'flash_attn",
            r"FlashAttention2 has been toggled on, but it cannot be used due to the following "
            r"error: (?P<reason>.*?)(?:\. Please|$)",
            r"flash_attn\S*\.so: undefined symbol",
            r"cannot import name .* from 'flash_attn",
        ),
        told(
            "flash-attn is missing in the trainer's Python, or was built for another torch.",
            "install it there, after torch: "
            "pip install --no-build-isolation flash-attn==2.7.1.post4",
            _SEE,
        ),
    ),
    Known(
        "wandb-key",
        (r"api_key not configured \(no-tty\)", r"UsageError: No API key configured"),
        told(
            "Weights & Biases has no key.",
            "set WANDB_API_KEY, or log in once with: wandb login",
            "or train without: WANDB_MODE=offline, or report_to: none in the sweep file",
        ),
    ),
    Known(
        "wandb-refused",
        (
            r"wandb\.errors\.(?:errors\.)?(?P<kind>AuthenticationError|CommError): "
            r"(?P<reason>.*)",
        ),
        told(
            "Weights & Biases refused the run: {kind}.",
            "{reason}",
            "see that WANDB_API_KEY, WANDB_ENTITY and WANDB_PROJECT belong together",
            "or train without: WANDB_MODE=offline, or report_to: none in the sweep file",
        ),
    ),
    Known(
        "protobuf",
        (
            r"Descriptors (?:cannot|should not) be created directly",
            r"protobuf.*\bgencode\b.*runtime",
        ),
        told(
            "protobuf in the trainer's Python is of a version that its packages do not take.",
            "install the one that Isaac-GR00T pins: pip install protobuf==3.20.3",
            "Dagster needs a newer one, which is why the two have environments of their own",
        ),
    ),
    Known(
        "torchcodec",
        (
            r"Could not load libtorchcodec",
            r"torchcodec is not available",
            r"libavutil\.so\.\d+: cannot open shared object file",
        ),
        told(
            "torchcodec cannot be used: it finds no FFmpeg, or is not of this torch.",
            "with frame_source: cache no video is read, and torchcodec is not needed",
            "or install FFmpeg 4 to 7 with its libraries, and torchcodec 0.1 for torch 2.5",
        ),
    ),
    Known(
        "torchvision",
        (
            r"operator torchvision::nms does not exist",
            r"Couldn't load custom C\+\+ ops",
            r"PyAV is not installed",
            r"torchvision\.io' has no attribute 'VideoReader",
        ),
        told(
            "torchvision does not go with this torch, or lacks PyAV.",
            "torch 2.5.1 goes with torchvision 0.20.1; torchvision_av needs: pip install av",
            _SEE,
        ),
    ),
    Known(
        "decord",
        (r"decord is not available", r"No module named 'decord'"),
        told(
            "decord is not installed in the trainer's Python.",
            "with frame_source: cache no video is read, and decord is not needed",
        ),
    ),
    Known(
        "pytorch3d",
        (r"No module named 'pytorch3d",),
        told(
            "pytorch3d is missing in the trainer's Python.",
            "pip install pipablepytorch3d==0.7.6 brings it; the package pytorch3d does not",
            _SEE,
        ),
    ),
    Known(
        "module",
        (r"^ModuleNotFoundError: No module named '(?P<module>[^']+)'",),
        told(
            "the trainer's Python has no module {module}.",
            "install the checkout in it again: pip install -e .[base]",
            _SEE,
        ),
    ),
    Known(
        "library",
        (r"^(?:ImportError|OSError): (?P<library>\S+\.so[.\d]*): cannot open shared object file",),
        told(
            "a package of the trainer's Python needs {library}, which this machine has not.",
            "OpenCV needs libGL.so.1 and libglib2.0: apt-get install libgl1 libglib2.0-0",
            _SEE,
        ),
    ),
)
