"""Configurations: read, checked, explained."""

from nmsim.config.load import config_hash, dump_config, folder_name, load_config
from nmsim.config.schema import RunConfig

__all__ = ["RunConfig", "config_hash", "dump_config", "folder_name", "load_config"]
