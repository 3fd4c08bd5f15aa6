// Runs the verifier many times in one JVM, for tests/test_consumers_java.py.

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.security.interfaces.ECPublicKey;
import java.util.Arrays;
import java.util.Map;

final class EdgepackHarness {
    private EdgepackHarness() {}

    /** cases KEY DIRECTORY: what is said of each file. flips KEY FILE: bits whose flip is taken. */
    public static void main(String[] arguments) throws Exception {
        Map<String, ECPublicKey> keys =
                EdgepackVerifier.publicKeys(Arrays.asList(Paths.get(arguments[1])));
        Path path = Paths.get(arguments[2]);
        if (arguments[0].equals("flips")) {
            flips(Files.readAllBytes(path), keys);
            return;
        }
        try (DirectoryStream<Path> files = Files.newDirectoryStream(path)) {
            for (Path file : files) {
                String said = said(Files.readAllBytes(file), keys).replace("\n", "\\n");
                System.out.println(file.getFileName() + "\t" + said);
            }
        }
    }

    private static void flips(byte[] data, Map<String, ECPublicKey> keys) {
        System.out.println("whole\t" + said(data, keys));
        for (int at = 0; at < data.length; at++) {
            // Of the alignment's thousands of equal zeros, each byte is flipped in one bit.
            boolean dull = at > 64 && at + 64 < data.length && zeros(data, at - 64, at + 64);
            for (int bit = dull ? at % 8 : 0; bit < (dull ? at % 8 + 1 : 8); bit++) {
                data[at] ^= 1 << bit;
                if (said(data, keys).equals("holds")) {
                    System.out.println(at + "\t" + bit);
                }
                data[at] ^= 1 << bit;
            }
        }
    }

    private static boolean zeros(byte[] data, int from, int to) {
        return Arrays.equals(data, from, to, new byte[to - from], 0, to - from);
    }

    private static String said(byte[] data, Map<String, ECPublicKey> keys) {
        try {
            EdgepackVerifier.verify(new Memory(data), new EdgepackVerifier.Options(), keys);
            return "holds";
        } catch (EdgepackVerifier.Refused refused) {
            return refused.getMessage();
        } catch (EdgepackVerifier.Usage | IOException | RuntimeException error) {
            return "CRASH " + error;
        }
    }

    /** Bytes as a file. */
    private static final class Memory implements SeekableByteChannel {
        private final byte[] data;
        private long position;

        Memory(byte[] data) {
            this.data = data;
        }

        @Override
        public int read(ByteBuffer buffer) {
            if (position >= data.length) {
                return -1;
            }
            int count = (int) Math.min(buffer.remaining(), data.length - position);
            buffer.put(data, (int) position, count);
            position += count;
            return count;
        }

        @Override
        public long position() {
            return position;
        }

        @Override
        public SeekableByteChannel position(long at) {
            position = at;
            return this;
        }

        @Override
        public long size() {
            return data.length;
        }

        @Override
        public int write(ByteBuffer buffer) {
            throw new UnsupportedOperationException();
        }

        @Override
        public SeekableByteChannel truncate(long size) {
            throw new UnsupportedOperationException();
        }

        @Override
        public boolean isOpen() {
            return true;
        }

        @Override
        public void close() {}
    }
}
