"""Makes the embedded default project: digit images from scikit-learn, and a small CNN for them.

Run from anywhere as `python calibration/digits/train.py`, with the `build` extra installed. It
writes `train/`, `test/` and `saved_model/` beside itself, and prints the accuracy on `test/` that
`edgepack.toml` records. The test images are never trained on, nor used to choose anything.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
SEED = 20
TEST_SAMPLES = 597
EPOCHS = 60
BATCH = 64


def write_images() -> None:
    """Write the digits as `train/CLASS/NNNN.png` and `test/CLASS/NNNN.png`.

    NNNN is the sample's index in scikit-learn's array. Intensities 0 to 16 become 0 to 255. Of
    samples with the same pixels only the first is kept, so that no image is on both sides.
    """
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    _, kept = np.unique(pixels.reshape(len(pixels), -1), axis=0, return_index=True)
    kept.sort()
    train, test = train_test_split(
        kept, test_size=TEST_SAMPLES, random_state=SEED, stratify=digits.target[kept]
    )
    for split, indices in (("train", train), ("test", test)):
        shutil.rmtree(HERE / split, ignore_errors=True)
        for index in sorted(indices):
            folder = HERE / split / str(digits.target[index])
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[index]).save(folder / f"{index:04d}.png", optimize=True)


def read_images(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one split back from its files: images [n, 8, 8, 1] in 0 to 1, and labels [n]."""
    files = sorted((HERE / split).glob("*/*.png"))
    images = np.stack([np.asarray(Image.open(file), np.float32) for file in files])
    labels = np.array([int(file.parent.name) for file in files])
    return images[..., None] / 255, labels


def augment(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Turn, scale and shift each image a little about its centre."""
    out = np.empty_like(images)
    centre = np.array([3.5, 3.5])
    for index, image in enumerate(images[..., 0]):
        angle = random.uniform(-0.2, 0.2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turn * random.uniform(0.9, 1.1)
        offset = centre - matrix @ centre + random.uniform(-0.7, 0.7, 2)
        out[index, ..., 0] = ndimage.affine_transform(image, matrix, offset, order=1)
    return out


def block(x: keras.KerasTensor, layer: keras.Layer) -> keras.KerasTensor:
    """One layer with batch normalization and a ReLU."""
    return keras.layers.ReLU()(keras.layers.BatchNormalization()(layer(x)))


def make_model() -> keras.Model:
    """A CNN of about 52,000 parameters: convolution, depthwise separable, convolution, dense."""
    layers = keras.layers
    image = keras.Input((8, 8, 1), name="image")
    x = block(image, layers.Conv2D(32, 3, padding="same", use_bias=False))
    x = block(x, layers.DepthwiseConv2D(3, padding="same", use_bias=False))
    x = block(x, layers.Conv2D(64, 1, use_bias=False))
    x = layers.MaxPooling2D()(x)
    x = block(x, layers.Conv2D(64, 3, padding="same", use_bias=False))
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(10, activation="softmax", name="scores")(x))


def train(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> None:
    """Fit the model on images augmented anew in each epoch."""
    random = np.random.default_rng(SEED)
    steps = EPOCHS * -(-len(images) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    for _ in range(EPOCHS):
        model.fit(augment(images, random), labels, batch_size=BATCH, verbose=0)


def main() -> None:
    """Write the images, train, export, and print what `edgepack.toml` should expect."""
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()
    write_images()
    model = make_model()
    train(model, *read_images("train"))
    images, labels = read_images("test")
    right = int((model.predict(images, verbose=0).argmax(1) == labels).sum())
    shutil.rmtree(HERE / "saved_model", ignore_errors=True)
    named = keras.Model(model.input, {"scores": model.output})
    named.export(HERE / "saved_model", verbose=False)
    print(f"{model.count_params()} parameters; {right} of {len(labels)} test images right")
    print(f"expected_accuracy = {right / len(labels):.4f}")


if __name__ == "__main__":
    main()
