"""Keeping an index equal to folders of files."""

from hybrid.engine.syncing.folder import PORTION, checked_root, source_name, sync_folder
from hybrid.engine.syncing.plan import SyncReport, plan_sync, planned

__all__ = ["PORTION", "SyncReport", "checked_root", "plan_sync", "planned", "source_name", "sync_folder"]
