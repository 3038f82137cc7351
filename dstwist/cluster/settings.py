"""
The times and limits of a cluster, from the configuration.
"""

from __future__ import annotations

from dstwist.config.cluster import ClusterSettings as ClusterSettings
