"""WAV files as arrays: waveform, spectrogram, log-mel or MFCC. Runs in a worker.

Frame i covers samples [i * stride, i * stride + window), Hann-windowed; there are
1 + (length - window) // stride of them. The spectrogram is the magnitude of the real FFT of the
window's own length. Mel filters are triangles, equally spaced from 20 Hz to half the sample rate
on the HTK scale 2595 log10(1 + f / 700); log-mel is ln(energy + 1e-6), MFCC its orthonormal
DCT-II.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.datasets.spec import LOWEST_HZ
from edgepack.datasets.unreadable import UnreadableError, require_regular

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.dataset import Window

FLOOR = 1e-6
STREAMED = b"\xff" * 4  # written to a pipe, of unknown length
PADDING = 1  # some writers leave out the byte that makes a chunk's length even
LEAST_MELS = 40
HIGHEST_RATE = 1_000_000


def decode_audio(path: Path, window: Window) -> NDArray[Any]:
    """One clip: [samples] for a waveform, else [frames, bins], float32.

    Raises:
        UnreadableError: the file is no PCM or float WAV.
    """
    signal = _fixed(_read(path, window.sample_rate), window)
    if window.features == "waveform":
        return signal
    spectrogram = np.abs(np.fft.rfft(_frames(signal, window), axis=1)).astype(np.float32)
    if window.features == "spectrogram":
        return spectrogram
    bins = window.bins if window.features == "log-mel" else max(LEAST_MELS, window.bins)
    filters = mel_filters(bins, spectrogram.shape[1], window.sample_rate)
    log_mel = np.log(spectrogram**2 @ filters + FLOOR).astype(np.float32)
    return log_mel if window.features == "log-mel" else _cepstrum(log_mel, window.bins)


def _read(path: Path, rate: int) -> NDArray[Any]:
    """Mono samples at `rate`, integers scaled to -1..1."""
    from scipy.io import wavfile
    from scipy.signal import resample_poly

    try:
        _require_whole(path)
        own_rate, data = wavfile.read(path)
    except UnreadableError:
        raise
    except Exception as error:  # of a damaged file, SciPy raises whatever comes
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableError(reason or type(error).__name__) from error
    if own_rate > HIGHEST_RATE:  # a filter to resample it would take all memory
        raise UnreadableError(f"a sample rate of {own_rate} Hz")
    signal = _scaled(data)
    if signal.ndim > 1:
        signal = signal.mean(axis=1)
    if own_rate == rate:
        return signal
    common = gcd(own_rate, rate)
    resampled = resample_poly(signal, rate // common, own_rate // common)
    return np.asarray(resampled, np.float32)


def _require_whole(path: Path) -> None:
    """SciPy reads what there is of a clip that was cut short, and says nothing."""
    require_regular(path)
    with path.open("rb") as file:
        head = file.read(8)
    expected, size = int.from_bytes(head[4:], "little") + len(head), path.stat().st_size
    if head.startswith(b"RIFF") and head[4:] != STREAMED and expected > size + PADDING:
        raise UnreadableError(f"cut short: {size} bytes of {expected}")


def _scaled(data: NDArray[Any]) -> NDArray[Any]:
    if data.dtype == np.uint8:  # WAV's eight-bit samples are unsigned
        return (data.astype(np.float32) - 128) / 128
    if np.issubdtype(data.dtype, np.integer):
        return data.astype(np.float32) / float(-np.iinfo(data.dtype).min)
    return data.astype(np.float32)


def _fixed(signal: NDArray[Any], window: Window) -> NDArray[Any]:
    """Cut or zero-pad at the end to the declared length."""
    length = round(window.sample_rate * window.duration_ms / 1000)
    return np.pad(signal[:length], (0, max(0, length - len(signal)))).astype(np.float32)


def _frames(signal: NDArray[Any], window: Window) -> NDArray[Any]:
    size, stride = (
        round(window.sample_rate * ms / 1000) for ms in (window.window_ms, window.stride_ms)
    )
    if size > len(signal):
        raise UnreadableError(f"a window of {window.window_ms:g} ms is longer than the clip")
    every = np.lib.stride_tricks.sliding_window_view(signal, size)
    return every[::stride] * np.hanning(size).astype(np.float32)


def mel_filters(bins: int, frequencies: int, rate: int) -> NDArray[Any]:
    """Triangular mel filters, [frequencies, bins]."""
    edges = np.linspace(_mel(LOWEST_HZ), _mel(rate / 2), bins + 2)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    centres = np.linspace(0, rate / 2, frequencies)[:, None]
    rising = (centres - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    falling = (hertz[2:] - centres) / (hertz[2:] - hertz[1:-1])
    filters: NDArray[Any] = np.clip(np.minimum(rising, falling), 0, None)
    return filters.astype(np.float32)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _cepstrum(log_mel: NDArray[Any], coefficients: int) -> NDArray[Any]:
    from scipy.fft import dct

    transformed: NDArray[Any] = dct(log_mel, type=2, axis=1, norm="ortho")
    return transformed[:, :coefficients].astype(np.float32)
