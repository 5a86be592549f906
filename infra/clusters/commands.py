"""The shell commands that make a fresh machine a node of a cluster. Each ends with an error, or has done its work.

Ray runs every entry by `bash -c` and stops at the first that fails; `&&` keeps it so inside an entry. An image holds
all packages: nothing is installed here, so that a node started next month is the node that was tested.
"""

CACHE = "/var/tmp/datashop-cache"  # noqa: S108 - on a node's own disk: weights and compiled programs outlive a container
RAY_PORT = 6379


def prepare_machine(region: str) -> list[str]:
    """On the machine, before its container: the right to pull images, and a cache folder for the container's user."""
    return [
        'docker --version && sudo usermod -aG docker "$USER" && sudo chmod 660 /var/run/docker.sock',
        f"gcloud auth configure-docker {region}-docker.pkg.dev --quiet",
        f"sudo install -d -m 1777 {CACHE}",
    ]


def check_image(ray_version: str) -> list[str]:
    """In every container: the client's version of Ray, without which nodes do not find each other."""
    return [f"python -c 'import ray; v = ray.__version__; assert v == \"{ray_version}\", v'"]


def check_bucket(root: str) -> list[str]:
    """In a worker's container: the results can be read and written with the machine's own identity."""
    bucket = root.removeprefix("gs://").partition("/")[0]
    return [f"python -c 'import gcsfs; gcsfs.GCSFileSystem().ls(\"{bucket}\")'"]


def check_accelerator(tpu: bool) -> list[str]:
    """In a worker's container: the chips are there. Their files are not opened: one process may hold a TPU."""
    return ["ls /dev/accel* || ls /dev/vfio/[0-9]*"] if tpu else ["nvidia-smi -L | grep -q GPU"]


def start_head() -> list[str]:
    """The dashboard, which starts jobs, listens on loopback: `ray dashboard` reaches it through ssh."""
    return [
        "ray stop",
        f"ulimit -n 65536 && ray start --head --port={RAY_PORT} --object-manager-port=8076 "
        "--autoscaling-config=~/ray_bootstrap_config.yaml --dashboard-host=127.0.0.1",
    ]


def start_worker() -> list[str]:
    return [
        "ray stop",
        f'ulimit -n 65536 && ray start --address="$RAY_HEAD_IP:{RAY_PORT}" --object-manager-port=8076',
    ]
