"""containerProperties of a job definition: the rules, in the order in which they are checked.

The containers of a task (``tasks.py``) keep the same ones. Source: reference "Container semantics" and "Fargate
specifics". What passes is stored as it was given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import UNSET, UnsetType

from batchyard.admission import requirements
from batchyard.errors import ClientError
from batchyard.model import zip_images
from batchyard.model.logplaces import GROUP_OPTION, PREFIX_OPTION
from batchyard.model.needs import Needs
from batchyard.wire.shapes import (
    ContainerProperties,
    EcsTaskProperties,
    KeyValuePair,
    LinuxParameters,
    TaskContainerProperties,
    Volume,
)

AnyContainer = ContainerProperties | TaskContainerProperties

IMAGE_MAX = 255
_USER = "^([a-z0-9_][a-z0-9_-]{0,30})$"
_FILE_SYSTEM = re.compile(r"fs-[0-9a-z]+")
_VOLUME_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_AWSLOGS_OPTIONS = frozenset(
    {
        "awslogs-region",
        "awslogs-group",
        "awslogs-stream-prefix",
        "awslogs-datetime-format",
        "awslogs-multiline-pattern",
        "awslogs-create-group",
        "awslogs-endpoint",
        "mode",
        "max-buffer-size",
    }
)
_LOG_GROUP = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_LOG_PREFIX = re.compile(r"[^:*]{1,400}", re.DOTALL)  # the rest of a stream's name needs some 41
_FARGATE_ONLY = ("networkConfiguration", "fargatePlatformConfiguration")
_FARGATE_ONLY_IS = ("runtimePlatform", "ephemeralStorage")  # AWS words these two with "is"
_NOT_ON_FARGATE = ("devices", "sharedMemorySize", "tmpfs", "maxSwap", "swappiness")
_FARGATE_BEFORE_EFS = ("1.0.0", "1.1.0", "1.2.0", "1.3.0")
_WINDOWS = tuple(f"WINDOWS_SERVER_{each}" for each in ("2019_CORE", "2019_FULL", "2022_CORE", "2022_FULL"))
_FARGATE_LOG_DRIVERS = ("awslogs", "splunk")


def check(container: ContainerProperties, fargate: bool) -> None:
    """ClientError if `container` breaks a rule for its platform (EC2 unless `fargate`)."""
    check_image(container)
    asked = requirements.read(container.resourceRequirements, container.vcpus, container.memory, fargate)
    needs = requirements.complete(asked, fargate)
    check_volumes(container.volumes, container.jobRoleArn)
    check_process(container, container, fargate)
    version = container.fargatePlatformConfiguration and container.fargatePlatformConfiguration.platformVersion
    if fargate:
        check_fargate(container, version, needs)
    else:
        check_ec2(container, _FARGATE_ONLY)


def check_process(container: AnyContainer, whole: ContainerProperties | EcsTaskProperties, fargate: bool) -> None:
    """ClientError if what a container runs, and with what, breaks a rule. `whole` has its volumes and roles."""
    check_command(container.command)
    check_environment(container.environment)
    _check_secrets(container, whole.executionRoleArn)
    if container.user and not re.fullmatch(_USER[1:-1], container.user):
        raise ClientError(f"User '{container.user}' does not match regex {_USER}")
    _check_mount_points(container, whole.volumes)
    _check_log(container, fargate)
    if container.linuxParameters:
        _check_linux(container.linuxParameters)
    if fargate:
        _check_fargate_process(container)


def check_volumes(volumes: Iterable[Volume] | UnsetType, role: str | UnsetType) -> None:
    """ClientError if a volume breaks a rule; `role` is that of the job."""
    for volume in volumes or ():
        _check_volume(volume, role)


def check_environment(environment: Iterable[KeyValuePair] | UnsetType) -> None:
    """ClientError for an entry without a name, or one that no process can be given."""
    for entry in environment or ():
        if not entry.name:
            raise ClientError("Environment variable name is required.")
        if "=" in entry.name or "\0" in entry.name or "\0" in (entry.value or ""):
            raise ClientError(
                f"Environment variable {entry.name!r} holds a character that no process can be given.",
                "Take '=' out of its name and NUL out of its name and value.",
            )


def check_command(command: Iterable[str] | UnsetType) -> None:
    """ClientError for an argument that no process can be given."""
    for number, element in enumerate(command or ()):
        if "\0" in element:
            raise ClientError(f"Element {number} of command holds a NUL character.", "Take it out.")


def check_image(container: AnyContainer) -> None:
    if not container.image:
        raise ClientError("ECS Container Image must be provided.")
    if len(container.image) > IMAGE_MAX:
        raise ClientError(
            f"image can be at most {IMAGE_MAX} characters long, got {len(container.image)}.", "Use a shorter name."
        )
    address = zip_images.address_of(container.image)
    if address is not None and (fault := zip_images.fault(address)):
        raise ClientError(
            f"image {container.image!r} is no address of a zipped application: {fault}.",
            "Use zip:s3://BUCKET/KEY, zip:https://HOST/PATH or zip:file:///PATH.",
        )


def _check_secrets(container: AnyContainer, role: str | UnsetType) -> None:
    secret_options = container.logConfiguration and container.logConfiguration.secretOptions
    if (container.secrets or secret_options) and not role:
        raise ClientError("executionRoleArn cannot be empty when using secrets or secretOptions")


def _check_volume(volume: Volume, role: str | UnsetType) -> None:
    kinds = (volume.host, volume.efsVolumeConfiguration, volume.s3filesVolumeConfiguration)
    if sum(kind is not UNSET for kind in kinds) > 1:
        raise ClientError("When the volume parameter is specified, only one volume configuration type should be used.")
    if volume.name and not _VOLUME_NAME.fullmatch(volume.name):
        raise ClientError(
            f"Volume name {volume.name!r} is not valid.", "Use 1 to 255 letters, digits, hyphens and underscores."
        )
    if volume.efsVolumeConfiguration is not UNSET:
        _check_efs(volume)
    if volume.s3filesVolumeConfiguration is not UNSET:
        if not role:
            raise ClientError("A jobRoleArn/taskRoleArn is required when using s3filesVolumeConfiguration.")
        _check_port(volume.s3filesVolumeConfiguration.transitEncryptionPort)


def _check_efs(volume: Volume) -> None:
    efs = volume.efsVolumeConfiguration
    if not _FILE_SYSTEM.fullmatch(efs.fileSystemId):
        raise ClientError(f"EFS configuration fileSystemId is not valid: {efs.fileSystemId}.")
    _check_port(efs.transitEncryptionPort)
    access = efs.authorizationConfig
    if access is UNSET:
        return
    encrypted = efs.transitEncryption == "ENABLED"
    if access.iam == "ENABLED" and not encrypted:
        raise ClientError("EFS IAM authorization requires TransitEncryption to be enabled.")
    if access.accessPointId and not encrypted:
        raise ClientError("EFS IAM access point requires TransitEncryption to be enabled.")
    if access.accessPointId and efs.rootDirectory not in (UNSET, "", "/"):
        raise ClientError('When using an EFS access point, the root directory must either be set to "/" or omitted')


def _check_port(port: int | UnsetType) -> None:
    if port is not UNSET and not 0 <= port <= 65535:
        raise ClientError("TransitEncryptionPort must be a valid port number.")


def _check_mount_points(container: AnyContainer, defined: Iterable[Volume] | UnsetType) -> None:
    volumes = {volume.name for volume in defined or ()}
    for mount in container.mountPoints or ():
        if mount.sourceVolume is not UNSET and mount.sourceVolume not in volumes:
            raise ClientError(
                f"mountPoints: no volume is named {mount.sourceVolume!r}.",
                "Name one of the definition's volumes in sourceVolume, or add the volume.",
            )


def _check_log(container: AnyContainer, fargate: bool) -> None:
    log = container.logConfiguration
    if log is UNSET:
        return
    if fargate and log.logDriver not in _FARGATE_LOG_DRIVERS:
        raise ClientError(f"Log driver for Fargate is not valid: {log.logDriver}")
    if log.logDriver == "awslogs":
        for option in log.options or ():
            if option not in _AWSLOGS_OPTIONS:
                raise ClientError(f"Log driver awslogs disallows options: {option}")
        _check_log_names(log.options or {})


def _check_log_names(options: dict[str, str]) -> None:
    """What CloudWatch could not take as names would keep every job from starting: it is told at once."""
    group, prefix = options.get(GROUP_OPTION), options.get(PREFIX_OPTION)
    if group and not _LOG_GROUP.fullmatch(group):
        raise ClientError(
            f"logConfiguration.options {GROUP_OPTION} {group[:100]!r} cannot be the name of a log group.",
            "Use 1 to 512 of the characters A-Z a-z 0-9 . - _ / #.",
        )
    if prefix and not _LOG_PREFIX.fullmatch(prefix):
        raise ClientError(
            f"logConfiguration.options {PREFIX_OPTION} {prefix[:100]!r} cannot begin the name of a log stream.",
            "Use up to 400 characters without : and *.",
        )


def _check_linux(linux: LinuxParameters) -> None:
    for tmpfs in linux.tmpfs or ():
        if tmpfs.size is UNSET or tmpfs.size <= 0:
            raise ClientError("Size of a tmpfs is invalid. The size is required and must be a positive integer.")
    if linux.swappiness is not UNSET and not 0 <= linux.swappiness <= 100:
        raise ClientError(f"Invalid swappiness: {linux.swappiness}, must be between 0 and 100.")
    if linux.maxSwap is UNSET:
        return
    if linux.maxSwap < 0:
        raise ClientError(f"Invalid swap memory size: {linux.maxSwap}, must be non-negative.")
    if linux.swappiness is UNSET:
        raise ClientError("When container specified swap memory, swappiness value is required.")


def check_ec2(whole: ContainerProperties | EcsTaskProperties, fargate_only: Iterable[str]) -> None:
    """ClientError for members of a container or task that only Fargate has."""
    for member in fargate_only:
        if getattr(whole, member) is not UNSET:
            raise ClientError(f"{member} not applicable for EC2.")
    for member in _FARGATE_ONLY_IS:
        if getattr(whole, member) is not UNSET:
            raise ClientError(f"{member} is not applicable for EC2.")


def _check_fargate_process(container: AnyContainer) -> None:
    if container.ulimits:
        raise ClientError("ulimits is not applicable for Fargate.")
    if container.privileged:
        raise ClientError("privileged is not applicable for Fargate.")
    if container.linuxParameters:
        for member in _NOT_ON_FARGATE:
            if getattr(container.linuxParameters, member) is not UNSET:
                raise ClientError(f"linuxParameter.{member} is not allowed for Fargate.")


def check_fargate(
    whole: ContainerProperties | EcsTaskProperties, version: str | UnsetType | None, needs: Needs
) -> None:
    """ClientError if a container or task of these needs in all breaks a rule of Fargate's; `version` is that of its
    platform."""
    if not whole.executionRoleArn:
        raise ClientError("executionRoleArn is required for Fargate jobs.")
    if any(volume.host and volume.host.sourcePath for volume in whole.volumes or ()):
        raise ClientError("host.sourcePath should not be set for volumes in Fargate.")
    _check_fargate_platform(whole, version, needs)
    storage = whole.ephemeralStorage
    if storage is not UNSET and not 21 <= storage.sizeInGiB <= 200:
        raise ClientError("Ephemeral storage for Fargate tasks can be only between range 21 GiB to 200 GiB")


def _check_fargate_platform(
    whole: ContainerProperties | EcsTaskProperties, version: str | UnsetType | None, needs: Needs
) -> None:
    """The versions and systems that Fargate has (reference "Container semantics", Windows, and "Fargate specifics")."""
    has_efs = any(each.efsVolumeConfiguration for each in whole.volumes or ())
    if version in _FARGATE_BEFORE_EFS and has_efs:
        raise ClientError(f"EFS is supported for Fargate platform versions 1.4.0 or later, provided {version}")
    platform = whole.runtimePlatform
    family = platform and platform.operatingSystemFamily
    if not family or family == "LINUX":
        return
    if family not in _WINDOWS:
        raise ClientError(f"RuntimePlatform supports only one from [{','.join((*_WINDOWS, 'LINUX'))}]")
    if platform.cpuArchitecture not in (UNSET, "X86_64"):
        raise ClientError("Windows supported only by X86_64 cpuArchitecture")
    if needs.cpu_milli < 1000:
        raise ClientError(f"vCPU must be at least 1 for Windows Job definition, got {needs.cpu_milli / 1000:g}.")
