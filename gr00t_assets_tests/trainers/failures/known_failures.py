"""Which failure each produced, recorded or quoted log is."""

PRODUCED = {
    "bus-error": "signal",
    "flash-attn-import": "flash-attn",
    "flash-attn-toggled": "flash-attn",
    "full-disk-json": "disk-full",
    "full-disk-numpy": "disk-full",
    "full-disk-safetensors": "disk-full",
    "full-disk-torch": "disk-full",
    "host-memory": "host-memory",
    "host-memory-numpy": "host-memory",
    "hub-gated": "hub-gated",
    "hub-gated-config": "hub-gated",
    "hub-missing": "hub-missing",
    "hub-missing-config": "hub-missing",
    "hub-offline": "hub-unreachable",
    "hub-revision": "hub-revision",
    "hub-token": "hub-token",
    "killed": "signal",
    "no-gpu": "no-gpu",
    "other-shape": "shapes",
    "parquet-damaged": "parquet",
    "protobuf": "protobuf",
    "relative-path": "model-path",
    "resume-pickle": "resume-pickle",
    "segfault": "signal",
    "terminated": "signal",
    "torchrun-killed": "rank-signal",
    "torchrun-raises": "exception",
    "truncated-state": "damaged-checkpoint",
    "truncated-weights": "damaged-checkpoint",
    "wandb-key": "wandb-key",
    "worker-bus-error": "shared-memory",
    "worker-full-disk": "disk-full",
    "worker-killed": "worker-killed",
    "worker-segfault": "worker-crashed",
}
"""By the name of a case of ``produce.py``."""

RECORDED = {
    "isaac-badpq": "parquet",
    "isaac-camera": "camera",
    "isaac-camera-config": "camera",
    "isaac-codec": "torchcodec",
    "isaac-column": "column",
    "isaac-episodes": "meta",
    "isaac-info": "meta",
    "isaac-language": "key",
    "isaac-mp4": "video",
    "isaac-mp4cut": "video",
    "isaac-nomodality": "meta",
    "isaac-parquet": "parquet",
    "isaac-resume-none": "no-checkpoint",
    "isaac-resume-pickle": "resume-pickle",
    "isaac-resume-trunc": "damaged-checkpoint",
    "isaac-slice": "slice",
    "isaac-state": "key",
    "isaac-task": "tasks",
    "isaac-timestamp": "column",
    "pins-decord-av1": "av1",
    "pins-flash-attn-toggled": "flash-attn",
    "pins-full-disk-safetensors": "disk-full",
    "pins-full-disk-torch": "disk-full",
    "pins-hub-busy": "hub-unreachable",
    "pins-hub-gated": "hub-gated",
    "pins-hub-missing-config": "hub-missing",
    "pins-no-gpu": "no-gpu",
    "pins-protobuf": "protobuf",
    "pins-relative-path": "model-path",
    "pins-resume-pickle": "resume-pickle",
    "pins-torchcodec": "torchcodec",
    "pins-torchrun-killed": "rank-signal",
    "pins-torchrun-raises": "exception",
    "pins-wandb-key": "wandb-key",
    "pins-worker-bus-error": "shared-memory",
    "pins-worker-killed": "worker-killed",
}
"""By the name of a file in ``logs``."""

QUOTED = [
    # torch 2.5: c10/cuda/CUDACachingAllocator.cpp; as in Tencent-Hunyuan/Hunyuan3D-2#238.
    (
        "gpu-memory",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a "
        "total capacity of 79.15 GiB of which 17.75 MiB is free. Including non-PyTorch memory, "
        "this process has 79.13 GiB memory in use. Of the allocated memory 74.85 GiB is allocated "
        "by PyTorch, and 278.23 MiB is reserved by PyTorch but unallocated. If reserved but "
        "unallocated memory is large try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True "
        "to avoid fragmentation.",
    ),
    # Later versions say PYTORCH_ALLOC_CONF there.
    (
        "gpu-memory",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.95 GiB. GPU 0 has a total "
        "capacity of 14.57 GiB of which 1.58 GiB is free. Process 2493055 has 12.02 GiB memory in "
        "use. Including non-PyTorch memory, this process has 966.00 MiB memory in use. If reserved "
        "but unallocated memory is large try setting PYTORCH_ALLOC_CONF=expandable_segments:True",
    ),
    # ATen/cuda/Exceptions.h
    (
        "gpu-memory-library",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ),
    # c10/cuda/CUDAException.cpp with the CUDA runtime's words
    ("gpu-memory-library", "RuntimeError: CUDA error: out of memory\nCUDA kernel errors might be"),
    (
        "gpu-kind",
        "RuntimeError: CUDA error: no kernel image is available for execution on the device",
    ),
    ("gpu-number", "RuntimeError: CUDA error: invalid device ordinal"),
    ("gpu-fault", "RuntimeError: CUDA error: an illegal memory access was encountered"),
    # c10/cuda/CUDAFunctions.cpp
    ("no-gpu", "RuntimeError: No CUDA GPUs are available"),
    (
        "driver-old",
        "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please "
        "update your GPU driver",
    ),
    # flash-attn 2.7: csrc/flash_attn/flash_api.cpp
    ("gpu-kind", "RuntimeError: FlashAttention only supports Ampere GPUs or newer."),
    (
        "flash-attn",
        "ImportError: lib/python3.10/site-packages/flash_attn_2_cuda.cpython-310-x86_64-linux-gnu"
        ".so: undefined symbol: _ZN3c105ErrorC2ENS_14SourceLocationESs",
    ),
    # transformers 4.51.3: training_args.py
    (
        "gpu-kind",
        "ValueError: Your setup doesn't support bf16/gpu. You need torch>=1.10, using Ampere GPU "
        "with cuda>=11.0",
    ),
    ("gpu-kind", "ValueError: --tf32 requires Ampere or a newer GPU arch, cuda>=11 and torch>=1.7"),
    # torch 2.5: ProcessGroupNCCL.cpp; as in mlfoundations/open_clip#1024
    (
        "nccl-timeout",
        "[rank7]:[E126 01:17:58.183429932 ProcessGroupNCCL.cpp:616] [Rank 7] Watchdog caught "
        "collective operation timeout: WorkNCCL(SeqNum=14217, OpType=ALLGATHER, NumelIn=65536, "
        "NumelOut=524288, Timeout(ms)=600000) ran for 600002 milliseconds before timing out.",
    ),
    # as in hiyouga/LlamaFactory#7233
    (
        "shared-memory",
        "[rank1]: torch.distributed.DistBackendError: NCCL error in: /pytorch/torch/csrc/"
        "distributed/c10d/NCCLUtils.hpp:268, unhandled system error (run with NCCL_DEBUG=INFO for "
        "details), NCCL version 2.21.5\n"
        "[rank1]: ncclSystemError: System call (e.g. socket, malloc) or external library call "
        "failed or device error. \n"
        "[rank1]: Last error:\n"
        "[rank1]: Error while creating shared memory segment /dev/shm/nccl-LeXlEJ (size 9637888)",
    ),
    (
        "nccl",
        "torch.distributed.DistBackendError: NCCL error in: ../torch/csrc/distributed/c10d/"
        "ProcessGroupNCCL.cpp:1970, unhandled system error (run with NCCL_DEBUG=INFO for details), "
        "NCCL version 2.20.5\nncclRemoteError: A call failed possibly due to a network error",
    ),
    # torch/lib/libshm; aten/src/ATen/MapAllocator.cpp
    (
        "shared-memory",
        "RuntimeError: unable to write to file </torch_17_2131215_0>: No space left on device (28)",
    ),
    ("shared-memory", "RuntimeError: unable to mmap 1024 bytes from file </torch_29919_1>"),
    # torch 2.5: libtorch_python.so, signal_handling
    (
        "shared-memory",
        "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient "
        "shared memory (shm).",
    ),
    ("host-memory", "OSError: [Errno 12] Cannot allocate memory"),
    ("open-files", "OSError: [Errno 24] Too many open files"),
    # gr00t/model/policy.py
    ("embodiment-tag", "ValueError: No metadata found for embodiment tag: gr1"),
    # torchvision 0.20 beside another torch
    ("torchvision", "RuntimeError: operator torchvision::nms does not exist"),
    # cv2 without libGL
    (
        "library",
        "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
    ),
    ("pytorch3d", "ModuleNotFoundError: No module named 'pytorch3d'"),
    ("module", "ModuleNotFoundError: No module named 'albumentations'"),
    ("decord", "ImportError: decord is not available."),
    # wandb 0.18: sdk/lib/..., from the server
    (
        "wandb-refused",
        "wandb.errors.CommError: It appears that you do not have permission to access the "
        "requested resource.",
    ),
    # transformers 4.51.3: utils/hub.py
    (
        "hub-refused",
        "OSError: There was a specific connection error when trying to load nvidia/x:\n"
        "401 Client Error: Unauthorized for url: https://huggingface.co/nvidia/x",
    ),
    (
        "hub-file",
        "OSError: nvidia/x does not appear to have a file named config.json. Checkout 'https://'",
    ),
    # transformers 4.51.3: trainer.py logs its dictionary
    ("nan", "{'loss': nan, 'grad_norm': nan, 'learning_rate': 9e-05, 'epoch': 0.1}"),
    ("rendezvous", "RuntimeError: The server socket has failed to listen: EADDRINUSE"),
    ("peer-gone", "RuntimeError: Connection closed by peer [127.0.0.1]:2231"),
    ("worker-gone", "RuntimeError: DataLoader worker (pid(s) 1305) exited unexpectedly"),
    # our own launcher and native trainer
    ("refused", "Refusal: training asks for 2 GPUs; 1 are in sight\n  set CUDA_VISIBLE_DEVICES"),
    (
        "losses-missing",
        "TrainingError: lr1e-3: losses of 2 of 4 steps are missing, the first one that of step 3.\n"
        "  start it again",
    ),
    (
        "diverged",
        "launcher_recorder.DivergedError: step 4: the loss is nan: training has diverged\n"
        "  lower learning_rate",
    ),
]
