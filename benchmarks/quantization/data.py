"""Signals made from a seed: eight kinds of sound, at any loudness, and the same as short series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Labels = NDArray[np.int64]
KINDS = 8
RATE = 8000.0  # Hz
TONES = (350.0, 800.0, 1800.0, 500.0, 2200.0, 800.0, 800.0, 600.0)  # Hz, at the start


def sounds(count: int, length: int, seed: int, spread: float) -> tuple[Array, Labels]:
    """Labelled sounds, [count, length].

    Args:
        count: how many.
        length: samples of each, at 8 kHz.
        seed: of the random numbers.
        spread: standard deviation of the loudness' natural logarithm; 0 makes all alike.
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, KINDS, count)
    loud = np.exp(random.normal(0, spread, count) - spread)
    made = [_sound(int(kind), length, random) for kind in labels]
    return (np.stack(made) * loud[:, None]).astype(np.float32), labels


def _sound(kind: int, length: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Low, middle and high tone, rising, falling, slow and fast tremolo, two tones at once."""
    time = np.arange(length) / RATE
    tone = random.uniform(0.9, 1.1) * TONES[kind]
    phase, seconds = random.uniform(0, 2 * np.pi), length / RATE
    sweep = (0.0, 0.0, 0.0, 900.0, -900.0, 0.0, 0.0, 0.0)[kind] / seconds
    wave = np.sin(2 * np.pi * (tone * time + sweep * time**2) + phase)
    if kind in {5, 6}:
        wave *= np.sin(2 * np.pi * (4.0, 16.0)[kind - 5] * time + phase) > 0
    if kind == KINDS - 1:
        wave = (wave + np.sin(2 * np.pi * 2.6 * tone * time)) / 2
    return wave + random.normal(0, 0.02, length)


def series(count: int, steps: int, width: int, seed: int) -> tuple[Array, Labels]:
    """Labelled series, [count, steps, width]: which of eight patterns comes back, and how fast.

    The kind shows in the order of values over many steps, as what a recurrent layer is for. The
    last channels are the largest by orders of magnitude, and hold noise alone.
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, KINDS, count)
    steps_ = np.arange(steps)
    mixing = np.random.default_rng(1).normal(size=(3, width))
    units = np.logspace(-2, 3, width)  # channels in units of their own, as sensors have them
    mixing[:, -3:] = 0
    made = []
    for kind in labels:
        period = (6, 9, 13, 19)[kind % 4] * random.uniform(0.95, 1.05)
        angle = 2 * np.pi * steps_ / period + random.uniform(0, 2 * np.pi)
        turn = 1 if kind < KINDS // 2 else -1
        base = np.stack([np.sin(angle), turn * np.cos(angle), np.ones(steps)], 1)
        made.append((base @ mixing + random.normal(0, 0.4, (steps, width))) * units)
    return np.stack(made).astype(np.float32), labels
