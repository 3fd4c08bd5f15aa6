"""edgepack: convert, measure, gate and bundle TensorFlow models for devices."""
