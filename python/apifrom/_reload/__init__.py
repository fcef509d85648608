"""What `apifrom dev` does: serves a program, and serves it anew when its files change.

1. This process opens the socket and never imports the program. Each turn of the program runs in a
   process of its own (`child`), which takes the socket over by its descriptor.
2. When a Python file changes (`watch`), a new process starts beside the one that serves. Only once
   its start-up functions have run is the old one asked to end, so that no connection is refused.
3. A process that does not come so far says why, and nothing else happens: what served before goes
   on. Where nothing served, connections wait for the mend in the socket's queue.
4. Each process ends with this one, however this one ends: it holds the reading end of a pipe that
   only this process can write to.
"""

from apifrom._reload.listener import Mistake
from apifrom._reload.supervisor import Supervisor

__all__ = ["Mistake", "Supervisor"]
