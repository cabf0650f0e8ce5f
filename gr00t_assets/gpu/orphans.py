"""Processes of trainings whose guard and whose starter were both killed: found by mark, ended.

Either of the two ends what the other leaves. Where both are gone at once the training itself is
killed by the kernel (Linux), but what it started may live on and keep the slot and the GPU's
memory; who waits for a slot ends it then.
"""

from collections.abc import Callable, Iterable

from gr00t_assets.core.processes import is_alive
from gr00t_assets.gpu.marks import end_marked, marked_processes
from gr00t_assets.gpu.records import Holder


def end_orphans(
    holders: Iterable[Holder], log: Callable[[str], object] = lambda line: None
) -> list[int]:
    """Kill what is left of trainings that hold a slot and have neither guard nor starter.

    Args:
        holders: Who holds this machine's slots.
        log: Where a line goes for each training that something was left of.

    Returns:
        The processes that were ended.
    """
    ended: list[int] = []
    for mark, holder in {each.mark: each for each in holders}.items():
        if mark is None or is_alive(holder.pid) or is_alive(holder.starter):
            continue
        left = marked_processes(mark)
        if left:
            log(
                f"{holder.experiment}: its guard and process {holder.starter} were killed; "
                f"ended what was left of it: {', '.join(map(str, left))}"
            )
            end_marked(mark)
            ended += left
    return ended
