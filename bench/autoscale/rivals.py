"""Five other laws, written anew from what their documents and sources say they do; nothing of theirs is copied.

Each sees what the real one sees: HPA knows readiness (probes), uWSGI knows requests (it serves them) and its queue.
"""

from __future__ import annotations

import math
from collections import deque

from bench.autoscale.plant import MAX, Plant, Worker

TARGET = 0.7  # of a worker's CPU, for those that want a target: the same as ours


class Hpa:
    """Kubernetes' HorizontalPodAutoscaler, v2, on CPU utilisation.

    Source: "Horizontal Pod Autoscaling" of the Kubernetes documentation and the controller's replica calculator.
    Every `period`: ceil(pods x mean / target); nothing within the tolerance of 10 %. For 5 minutes after its start a
    pod is set aside until a whole metrics window lies after its readiness; without metrics it counts as fully used
    when shrinking, as unused when growing; set-aside pods count as unused when growing; a correction that changes the
    direction changes nothing. Shrinks to the highest recommendation of `stabilisation` seconds. Grows by at most the
    larger of 100 % and 4 pods in 15 s. The metrics window is the period.
    """

    tolerance = 0.1
    init = 300.0  # cpu-initialization-period
    policy_period = 15.0

    def __init__(self, name: str, period: float, stabilisation: float) -> None:
        self.name, self.period, self.stabilisation = name, period, stabilisation
        self.seen: dict[int, float] = {}
        self.recommended: deque[tuple[float, int]] = deque()
        self.added: deque[tuple[float, int]] = deque()

    def look(self, plant: Plant) -> int:
        current, now = plant.size, plant.now
        if not self.recommended:
            self.recommended.append((now, current))
        self.recommended.append((now, self._desired(plant)))
        while self.recommended[0][0] <= now - self.stabilisation:
            self.recommended.popleft()
        while self.added and self.added[0][0] <= now - self.policy_period:
            self.added.popleft()
        desired = self.recommended[-1][1]
        if desired < current:
            desired = min(current, max(wanted for _, wanted in self.recommended))
        start = current - sum(count for _, count in self.added)
        desired = min(desired, max(2 * start, start + 4), MAX)
        if desired > current:
            self.added.append((now, desired - current))
        return max(1, desired)

    def _desired(self, plant: Plant) -> int:
        used: list[float] = []
        aside = missing = 0
        seen, self.seen = self.seen, {worker.number: plant.cpu_seconds(worker) for worker in plant.workers}
        for worker in plant.workers:
            if worker.number not in seen:
                missing += 1
            elif self._is_set_aside(worker, plant.now):
                aside += 1
            else:
                used.append((self.seen[worker.number] - seen[worker.number]) / self.period)
        current = plant.size
        if not used:
            return current
        ratio = sum(used) / len(used) / TARGET
        if not missing and not (aside and ratio > 1):
            return current if abs(1 - ratio) <= self.tolerance else math.ceil(ratio * len(plant.ready))
        if ratio < 1:
            used += [1.0] * missing
        else:
            used += [0.0] * (missing + aside)
        corrected = sum(used) / len(used) / TARGET
        if abs(1 - corrected) <= self.tolerance or (ratio < 1) != (corrected < 1):
            return current
        desired = math.ceil(corrected * len(used))
        return current if (corrected < 1 and desired > current) or (corrected > 1 and desired < current) else desired

    def _is_set_aside(self, worker: Worker, now: float) -> bool:
        if now - worker.born >= self.init:
            return worker.ready_at is None
        return worker.ready_at is None or now - self.period < worker.ready_at


class Busyness:
    """uWSGI's cheaper algorithm "busyness", with its defaults and a window (cheaper-overload) of 10 s.

    Source: "The uWSGI cheaper subsystem" and the plugin's own options. Mean share of time in requests, each window:
    above 50 % one more; below 25 % one less once `multiplier` (10) windows have passed since the last change, and if
    the last was a removal the multiplier falls back towards 10; in between, the wait grows by a window, and from the
    third such window on starts afresh. One more too soon after one less: multiplier += penalty (2). Every second: more
    than 33 requests in the queue (of 100 at most) -> one emergency worker, after which the wait is 3 windows.
    """

    name = "uwsgi-busyness"
    period = 1.0
    window = 10.0
    most, least, multiplier, penalty = 0.50, 0.25, 10, 2
    alert, emergency_multiplier = 33, 3

    def __init__(self) -> None:
        self.multi = self.multiplier
        self.checked = 0.0
        self.next_cheap = self.window * self.multi
        self.last_cheaped = -math.inf
        self.last_was_cheap = False
        self.between = self.emergency = 0
        self.seen: dict[int, float] = {}

    def look(self, plant: Plant) -> int:
        now, size = plant.now, plant.size
        if now - self.checked < self.window:
            return self._alarm(plant)
        self.checked = now
        seen, self.seen = self.seen, {worker.number: plant.held_seconds(worker) for worker in plant.workers}
        shares = [min(1.0, (held - seen.get(number, 0.0)) / self.window) for number, held in self.seen.items()]
        busy = sum(shares) / len(shares)
        if busy > self.most:
            return self._more(now, size)
        if plant.waiting > self.alert and size < MAX:
            return self._alarm(plant)
        if busy < self.least:
            return self._less(now, size)
        if size > 1:
            self.emergency = max(0, self.emergency - 1)
            self.between += 1
            if self.between >= 3:
                self._wait(now)
            else:
                self.next_cheap += self.window
        return size

    def _more(self, now: float, size: int) -> int:
        self.between = 0
        if size >= MAX:
            return size
        self.last_was_cheap = False
        if (now - self.last_cheaped) / self.window <= self.multi:
            self.multi += self.penalty
        else:
            self.multi = max(self.multiplier, self.multi - 1)
        self._wait(now)
        return size + 1

    def _less(self, now: float, size: int) -> int:
        if size == 1:
            return size
        self.between = 0
        if now < self.next_cheap:
            return size
        if self.last_was_cheap:
            self.multi = max(self.multiplier, self.multi - 1)
        self._wait(now)
        self.last_cheaped, self.last_was_cheap = now, True
        self.emergency = max(0, self.emergency - 1)
        return size - 1

    def _alarm(self, plant: Plant) -> int:
        if min(100, plant.waiting) <= self.alert or plant.size >= MAX:
            return plant.size
        self.multi, self.last_was_cheap = self.multiplier, False
        self.emergency += 1
        self._wait(plant.now)
        return plant.size + 1

    def _wait(self, now: float) -> None:
        self.next_cheap = now + self.window * (self.emergency_multiplier if self.emergency else self.multi)


class Pm2Autoscale:
    """pm2-autoscale, the module for pm2, with its defaults.

    Source: its README and its source's thresholds. Every second, of each worker the mean CPU of its last 30 looks: the
    highest at or above 30 % -> one more, up to CPUs - 1, more than 10 s after the last new one; else the mean below
    5 % -> one less, more than 30 s after the last one gone, down to what it began with. (Memory is no object here.)
    """

    name = "pm2-autoscale"
    period = 1.0
    grow, release = 0.30, 0.05
    grow_pause, release_pause = 10.0, 30.0

    def __init__(self) -> None:
        self.started = 0
        self.grew = self.released = -math.inf
        self.seen: dict[int, float] = {}
        self.shares: dict[int, deque[float]] = {}

    def look(self, plant: Plant) -> int:
        now, size = plant.now, plant.size
        self.started = self.started or size
        seen, self.seen = self.seen, {worker.number: plant.cpu_seconds(worker) for worker in plant.workers}
        for number, used in self.seen.items():
            if number not in seen:
                self.grew = now
            past = self.shares.setdefault(number, deque(maxlen=30))
            past.append((used - seen.get(number, 0.0)) / self.period)
        for number in self.shares.keys() - self.seen.keys():
            del self.shares[number]
            self.released = now
        means = [sum(past) / len(past) for past in self.shares.values()]
        if max(means) >= self.grow and size < plant.trace.host - 1:
            return size + 1 if now - self.grew > self.grow_pause else size
        if sum(means) / size < self.release and size > self.started and now - self.released > self.release_pause:
            return size - 1
        return size


class BangBang:
    """What one writes first: every 5 s, above 80 % one more, below 50 % one less. No windows, no memory."""

    name = "bang-bang"
    period = 5.0
    most, least = 0.80, 0.50

    def __init__(self) -> None:
        self.seen: dict[int, float] = {}

    def look(self, plant: Plant) -> int:
        seen, self.seen = self.seen, {worker.number: plant.cpu_seconds(worker) for worker in plant.workers}
        shares = [(used - seen.get(number, 0.0)) / self.period for number, used in self.seen.items()]
        mean = sum(shares) / len(shares)
        return plant.size + (mean > self.most) - (mean < self.least)


FAST_HPA = "hpa-fast"


def rivals() -> list[Hpa | Busyness | Pm2Autoscale | BangBang]:
    """Fresh ones, for one trace."""
    return [Hpa("hpa", 15.0, 300.0), Hpa(FAST_HPA, 5.0, 60.0), Busyness(), Pm2Autoscale(), BangBang()]
