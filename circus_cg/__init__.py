"""circus-cg: a cgroups-aware process and container supervisor.

This module stays empty of imports: the keeper, which may use the standard library only, imports it too.
"""

__version__ = "0.1.0"
