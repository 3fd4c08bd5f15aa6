from __future__ import annotations

import struct

import numpy as np
import pytest
from dataset_samples import RNG, arrays, run, spec, tensor
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import wavfile

from edgepack.datasets.audio import decode_audio
from edgepack.datasets.unreadable import UnreadableError
from edgepack.errors import DatasetError
from edgepack.records.dataset import Window

RATE = 8000
CLIP = (RNG.standard_normal(1000) * 8000).astype(np.int16)  # 125 ms
SHORT = {"sample_rate": RATE, "duration_ms": 100, "window_ms": 10.0, "stride_ms": 5.0}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("audio") / "clip.wav"
    wavfile.write(path, RATE, CLIP)
    return path


def test_a_waveform_is_cut_at_the_end(clip):
    found = decode_audio(clip, Window(**SHORT))
    np.testing.assert_array_equal(found, CLIP[:800].astype(np.float32) / 32768)
    assert found.dtype == np.float32


def test_a_waveform_is_padded_with_zeros_at_the_end(clip):
    found = decode_audio(clip, Window(sample_rate=RATE, duration_ms=150))
    assert found.shape == (1200,)
    np.testing.assert_array_equal(found[:1000], CLIP.astype(np.float32) / 32768)
    assert not found[1000:].any()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (np.array([0, 128, 255], np.uint8), [-1, 0, 127 / 128]),
        (np.array([-32768, 0, 16384], np.int16), [-1, 0, 0.5]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-1, 0, 0.5]),
        (np.array([-1, 0, 0.5], np.float32), [-1, 0, 0.5]),
        (np.array([[-32768, 0], [0, 0], [32767, 1]], np.int16), [-0.5, 0, 0.5]),
    ],
)
def test_every_sample_format_runs_from_minus_one_to_one(tmp_path, data, expected):
    wavfile.write(tmp_path / "a.wav", 1000, data)
    found = decode_audio(tmp_path / "a.wav", Window(sample_rate=1000, duration_ms=3))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_other_rates_are_resampled(tmp_path):
    times = np.arange(44100) / 44100
    tone = np.sin(2 * np.pi * 440 * times).astype(np.float32)
    wavfile.write(tmp_path / "a.wav", 44100, tone)
    found = decode_audio(tmp_path / "a.wav", Window(sample_rate=16000, duration_ms=1000))
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(found[100:-100], expected[100:-100], atol=5e-3)


def _magnitudes():
    """[frames, bins]: the transform written out, frame by frame."""
    signal, size, stride = CLIP[:800] / 32768, 80, 40
    turns = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size // 2 + 1)) / size)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))
    starts = range(0, len(signal) - size + 1, stride)
    return np.array([abs((signal[at : at + size] * hann) @ turns) for at in starts])


def _log_mel(bins):
    """The documented triangles, one by one."""
    top = 2595 * np.log10(1 + (RATE / 2) / 700)
    low = 2595 * np.log10(1 + 20 / 700)
    edges = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(low, top, bins + 2)]
    power = _magnitudes() ** 2
    energies = np.zeros((len(power), bins))
    for column in range(power.shape[1]):
        hertz = column * RATE / 80
        for number, (left, middle, right) in enumerate(
            zip(edges, edges[1:], edges[2:], strict=False)
        ):
            if left < hertz <= middle:
                weight = (hertz - left) / (middle - left)
            elif middle < hertz < right:
                weight = (right - hertz) / (right - middle)
            else:
                continue
            energies[:, number] += power[:, column] * weight
    return np.log(energies + 1e-6)


def test_a_spectrogram_is_the_magnitude_of_each_frame(clip):
    found = decode_audio(clip, Window(features="spectrogram", **SHORT))
    assert found.shape == (19, 41)  # 1 + (800 - 80) // 40 frames, 80 / 2 + 1 bins
    np.testing.assert_allclose(found, _magnitudes(), rtol=1e-4, atol=1e-5)


def test_log_mel_sums_triangles(clip):
    found = decode_audio(clip, Window(features="log-mel", bins=12, **SHORT))
    assert found.shape == (19, 12)
    np.testing.assert_allclose(found, _log_mel(12), rtol=1e-3, atol=1e-3)


def test_mfcc_is_the_cosine_transform_of_forty_mels(clip):
    found = decode_audio(clip, Window(features="mfcc", bins=10, **SHORT))
    mels, n = _log_mel(40), np.arange(40)
    expected = np.array(
        [
            np.sqrt((1 if k == 0 else 2) / 40) * mels @ np.cos(np.pi * k * (2 * n + 1) / 80)
            for k in range(10)
        ]
    ).T
    assert found.shape == (19, 10)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2)


def test_silence_is_the_documented_floor(tmp_path):
    wavfile.write(tmp_path / "a.wav", RATE, np.zeros(800, np.int16))
    found = decode_audio(tmp_path / "a.wav", Window(features="log-mel", bins=12, **SHORT))
    np.testing.assert_allclose(found, np.log(1e-6), rtol=1e-6)


def _folders(root, clips=2):
    for word in ("no", "yes"):
        (root / "data" / word).mkdir(parents=True)
        for number in range(clips):
            noise = (RNG.standard_normal(800) * 1000).astype(np.int16)
            wavfile.write(root / "data" / word / f"{number}.wav", RATE, noise)


def test_folders_of_clips_are_classes(tmp_path):
    _folders(tmp_path)
    dataset = spec("audio", x={"audio": {**SHORT, "features": "mfcc", "bins": 10}})
    samples = run(dataset, tmp_path, tensor((19, 10, 1)))
    assert samples.classes == ("no", "yes")
    values, labels = arrays(samples)
    assert values.shape == (4, 19, 10, 1)
    assert sorted(labels.tolist()) == [0, 0, 1, 1]


def test_a_list_of_clips_is_read(tmp_path):
    _folders(tmp_path)
    (tmp_path / "list.csv").write_text("path,label\ndata/no/0.wav,no\ndata/yes/1.wav,yes\n")
    dataset = spec("audio", "list.csv", x={"audio": SHORT})
    values, labels = arrays(run(dataset, tmp_path, tensor((800,))))
    assert values.shape == (2, 800)
    assert sorted(labels.tolist()) == [0, 1]


GOOD = b"RIFF$\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"RIFF",
        b"RIFF\xff\xff\xff\xffWAVE",
        b"ID3 this is an mp3 file, by its name",
        GOOD,
        GOOD.replace(b"$", b"\x44") + b"data\x20\0\0\0" + bytes(16),
    ],
)
def test_clips_that_cannot_be_read_are_named(tmp_path, content):
    _folders(tmp_path)
    (tmp_path / "data/no/bad.wav").write_bytes(content)
    dataset = spec("audio", x={"audio": SHORT})
    with pytest.raises(
        DatasetError, match=r"one file of evaluate cannot be read\n +no/bad\.wav: ."
    ):
        run(dataset, tmp_path, tensor((800,)))


def test_a_clip_of_an_impossible_rate_is_refused(tmp_path):
    wavfile.write(tmp_path / "clip.wav", 2**30, CLIP)
    with pytest.raises(UnreadableError, match="a sample rate of 1073741824 Hz"):
        decode_audio(tmp_path / "clip.wav", Window(**SHORT))


def test_a_clip_written_to_a_pipe_is_read(tmp_path):
    _folders(tmp_path)
    head = GOOD.replace(b"$\0\0\0", b"\xff\xff\xff\xff")
    clip = head + b"data\xff\xff\xff\x7f" + CLIP[:800].tobytes()
    (tmp_path / "data/no/piped.wav").write_bytes(clip)
    values, _ = arrays(run(spec("audio", x={"audio": SHORT}), tmp_path, tensor((800,))))
    expected = CLIP[:800].astype(np.float32) / 32768
    assert any(np.array_equal(value, expected) for value in values)


@settings(max_examples=200)
@given(st.integers(0, 44), st.binary(max_size=60))
def test_no_damage_to_a_clip_raises_anything_else(tmp_path_factory, size, tail):
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    whole = GOOD + b"data\x10\0\0\0" + bytes(range(16))
    path.write_bytes(whole[:size] + tail)
    try:
        found = decode_audio(path, Window(**SHORT))
    except UnreadableError as error:
        found = str(error)
    assert len(found) > 0


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (None, r"kind audio needs inputs\.x\.audio with sample_rate and duration_ms"),
        (
            {**SHORT, "window_ms": 200.0, "features": "mfcc"},
            "a window of 200 ms is longer than the clip",
        ),
    ],
)
def test_what_is_wrong_with_the_window_is_said(tmp_path, audio, message):
    _folders(tmp_path)
    with pytest.raises(DatasetError, match=message):
        run(spec("audio", x={"audio": audio}), tmp_path, tensor((800,)))
