// Checks an edgepack bundle and hands out what it checked. One file, JDK 11 or later, nothing else:
//
//     java EdgepackVerifier.java pets-1.2.3.zip --key release.key.pub --extract build/model
//
// Exit codes: 0 the bundle holds; 2 usage (no such file, bad key, bad lock file); 4 refused.

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.Signature;
import java.security.interfaces.ECPublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.text.Normalizer;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.CRC32;

/**
 * Checks bundles as {@code edgepack verify} does: first the archive's framing, then the signature, then
 * digests, and last what the manifest says. What only edgepack itself checks is what the .tflite files
 * say of themselves.
 */
public final class EdgepackVerifier {
    private EdgepackVerifier() {}

    /** The bundle is not to be used. */
    public static final class Refused extends Exception {
        Refused(String message) {
            super(message);
        }
    }

    /** What was asked for cannot be done: no such file, no such key. */
    public static final class Usage extends Exception {
        Usage(String message) {
            super(message);
        }
    }

    /** What a bundle must be to be taken. */
    public static final class Options {
        public final List<Path> keys = new ArrayList<>();
        public Path lock;
        public boolean updateLock;
        public boolean allowFailed;
        public Instant now = Instant.now();
    }

    /** A bundle that holds. */
    public static final class Result {
        public final Map<String, Object> manifest;
        /** SHA-256 of SHA256SUMS, which signing the bundle again does not change. */
        public final String contents;
        /** Ids of keys that were given and have signed. */
        public final List<String> checked;
        /** Ids of keys that have signed and were not given. */
        public final List<String> unchecked;
        private final Map<String, Entry> entries;
        private final Map<String, String> digests;

        Result(Map<String, Object> manifest, Map<String, Entry> entries, Map<String, String> digests,
                List<String> checked, List<String> unchecked) {
            this.manifest = manifest;
            this.entries = entries;
            this.digests = digests;
            this.contents = digests.get(SUMS);
            this.checked = checked;
            this.unchecked = unchecked;
        }

        public String name() {
            return (String) manifest.get("name");
        }

        public String version() {
            return (String) manifest.get("version");
        }

        /** Greater for each later release; null where the bundle has none. */
        public Long sequence() {
            return (Long) manifest.get("sequence");
        }

        /** Variants by the member that holds each. */
        public Map<String, String> variants() {
            Map<String, String> found = new LinkedHashMap<>();
            for (Map<String, Object> model : maps(manifest.get("models"))) {
                found.put((String) model.get("variant"), (String) model.get("path"));
            }
            return found;
        }

        /** The variants that a target can take, best first; null where there is no such target. */
        public List<String> variantsFor(String target) {
            for (Map<String, Object> one : maps(manifest.get("targets"))) {
                if (target.equals(one.get("name"))) {
                    return strings(one.get("variants"));
                }
            }
            return null;
        }
    }

    /** Checks a bundle that lies in a file. */
    public static Result verify(Path bundle, Options options) throws Refused, Usage, IOException {
        try (SeekableByteChannel file = opened(bundle)) {
            return verify(file, options);
        }
    }

    /** Checks an open bundle: framing, signature, digests, manifest, and then the lock. */
    public static Result verify(SeekableByteChannel file, Options options)
            throws Refused, Usage, IOException {
        return verify(file, options, publicKeys(options.keys));
    }

    static Result verify(SeekableByteChannel file, Options options, Map<String, ECPublicKey> keys)
            throws Refused, Usage, IOException {
        Archive archive = new Archive(file);
        Map<String, Entry> entries = archive.entries;
        if (!entries.containsKey(SUMS)) {
            throw new Refused(SUMS + ": missing");
        }
        byte[] sums = archive.text(entries.get(SUMS));
        Map<String, String> digests = listed(sums);
        digests.put(SUMS, hex(sha256().digest(sums)));
        Signed signed = new Signed(archive, digests, keys);
        checkDigests(archive, digests, sums);
        Map<String, Object> manifest = manifest(archive);
        checkMembers(manifest, digests);
        for (String name : signed.names) {
            if (!name.equals(manifest.get("name"))) {
                throw new Refused("a signature is for '" + name + "'");
            }
        }
        checkLabels(archive, manifest);
        archive.checkTime((Long) manifest.get("epoch"));
        Result result = new Result(manifest, entries, digests, signed.checked, signed.unchecked);
        checkRelease(manifest, options);
        if (options.lock != null) {
            Lock.check(result, options.lock, options.updateLock);
        }
        return result;
    }

    /** Copies members of a bundle that was checked on this very channel, checking each digest again. */
    public static void extract(SeekableByteChannel file, Result result, Map<String, Path> copies)
            throws Refused, IOException {
        for (Map.Entry<String, Path> copy : copies.entrySet()) {
            Path target = copy.getValue().toAbsolutePath();
            Files.createDirectories(target.getParent());
            Path partial = Files.createTempFile(target.getParent(), ".edgepack-", ".tmp");
            try {
                copy(file, result, copy.getKey(), partial);
                move(partial, target);
            } finally {
                Files.deleteIfExists(partial);
            }
        }
    }

    private static void copy(SeekableByteChannel file, Result result, String name, Path target)
            throws Refused, IOException {
        MessageDigest digest = sha256();
        try (OutputStream out = Files.newOutputStream(target)) {
            stream(file, result.entries.get(name), (bytes, length) -> {
                digest.update(bytes, 0, length);
                out.write(bytes, 0, length);
            });
        }
        if (!hex(digest.digest()).equals(result.digests.get(name))) {
            throw new Refused(name + ": changed while it was copied");
        }
    }

    private static void move(Path from, Path to) throws IOException {
        try {
            from.toFile().setReadable(true, false); // temporary files are their owner's alone
            Files.move(from, to, StandardCopyOption.ATOMIC_MOVE);
        } catch (AtomicMoveNotSupportedException error) {
            Files.move(from, to, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    // ---- The archive --------------------------------------------------------------------------------

    private static final String SUMS = "SHA256SUMS";
    private static final String MANIFEST = "manifest.json";
    private static final String LABELS = "labels.txt";
    private static final long MAX_SIZE = 0xFFFFFFFEL;
    private static final int MAX_ENTRIES = 1000;
    private static final int MAX_DIRECTORY = 1 << 20;
    private static final int MAX_TEXT = 2 << 20;
    private static final int MAX_NAME = 200;
    private static final int CHUNK = 1 << 18;

    static final class Entry {
        final String name;
        final long start;
        final long size;
        final long crc;

        Entry(String name, long start, long size, long crc) {
            this.name = name;
            this.start = start;
            this.size = size;
            this.crc = crc;
        }

        /** What aligns a model to 16 KiB; nothing for others. */
        byte[] extra() {
            if (!name.endsWith(".tflite")) {
                return new byte[0];
            }
            long header = start + 30 + bytes(name).length + 6;
            int zeros = (int) ((16384 - header % 16384) % 16384);
            return little(6 + zeros).putShort((short) 0xD935).putShort((short) (2 + zeros))
                    .putShort((short) 16384).array();
        }

        long offset() {
            return start + 30 + bytes(name).length + extra().length;
        }

        long end() {
            return offset() + size;
        }
    }

    interface Sink {
        void take(byte[] bytes, int length) throws IOException;
    }

    static void stream(SeekableByteChannel file, Entry entry, Sink sink) throws IOException, Refused {
        ByteBuffer buffer = ByteBuffer.allocate((int) Math.min(CHUNK, Math.max(entry.size, 1)));
        file.position(entry.offset());
        for (long left = entry.size; left > 0; left -= buffer.position()) {
            buffer.clear().limit((int) Math.min(buffer.capacity(), left));
            if (file.read(buffer) <= 0) {
                throw new Refused(entry.name + ": is cut short");
            }
            sink.take(buffer.array(), buffer.position());
        }
    }

    /** A zip in the one form that names, sizes, CRCs and one time leave. */
    static final class Archive {
        private static final String[] FIELDS = {
            "version made by", "version needed", "flags", "method", "time", "date", "CRC", "stored size",
            "size", "name length", "extra length", "comment length", "disk", "internal attributes",
            "attributes", "start"};
        private static final int[] WIDTHS = {2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4};
        private static final int NEEDED = 1; // the first field that a local header has too
        private static final int SHARED = 10; // how many it has

        private final SeekableByteChannel file;
        private final List<long[]> records = new ArrayList<>();
        private long time;
        private long date;
        /** The members in order, by name. */
        final Map<String, Entry> entries;

        Archive(SeekableByteChannel file) throws Refused, IOException {
            this.file = file;
            this.entries = scanned();
        }

        private Map<String, Entry> scanned() throws Refused, IOException {
            long size = file.size();
            if (size < 22 || size > MAX_SIZE) {
                throw new Refused(size + " bytes are too few or too many for a bundle");
            }
            ByteBuffer end = read(size - 22, 22);
            if (end.getInt() != 0x06054B50) {
                throw new Refused(noEnd());
            }
            int disks = end.getInt();
            int here = end.getShort() & 0xFFFF;
            int count = end.getShort() & 0xFFFF;
            long length = end.getInt() & 0xFFFFFFFFL;
            long start = end.getInt() & 0xFFFFFFFFL;
            if (disks != 0 || end.getShort() != 0 || here != count || start + length != size - 22) {
                throw new Refused("the zip's end record does not fit the file: bytes added or removed");
            }
            if (count > MAX_ENTRIES || length > MAX_DIRECTORY) {
                throw new Refused(count + " entries, and " + MAX_ENTRIES + " are allowed");
            }
            return checked(directory(read(start, (int) length), count), start);
        }

        private String noEnd() throws IOException, Refused {
            return read(0, 2).getShort() == 0x4B50
                    ? "the zip does not end with its end record: it was cut short, or bytes were appended"
                    : "not a zip archive";
        }

        private List<Entry> directory(ByteBuffer data, int count) throws Refused {
            List<Entry> found = new ArrayList<>();
            for (int number = 1; number <= count; number++) {
                if (data.remaining() < 46 || data.getInt() != 0x02014B50) {
                    throw new Refused("record " + number + " of the directory is damaged");
                }
                long[] fields = new long[FIELDS.length];
                for (int i = 0; i < fields.length; i++) {
                    fields[i] = WIDTHS[i] == 2 ? data.getShort() & 0xFFFF : data.getInt() & 0xFFFFFFFFL;
                }
                if (data.remaining() < fields[9] + fields[10] + fields[11]) {
                    throw new Refused("record " + number + " of the directory is cut short");
                }
                byte[] raw = new byte[(int) fields[9]];
                data.get(raw);
                data.position((int) (data.position() + fields[10] + fields[11]));
                records.add(fields);
                found.add(new Entry(decoded(raw, number), fields[15], fields[8], fields[6]));
            }
            if (data.hasRemaining()) {
                throw new Refused("the directory holds more than its " + count + " records");
            }
            return found;
        }

        private static String decoded(byte[] raw, int number) throws Refused {
            try {
                return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(raw)).toString();
            } catch (CharacterCodingException error) {
                throw new Refused("the name of record " + number + " is not UTF-8");
            }
        }

        private Map<String, Entry> checked(List<Entry> entries, long directory)
                throws Refused, IOException {
            Names.check(entries);
            if (!records.isEmpty()) {
                time = records.get(0)[4];
                date = records.get(0)[5];
            }
            for (int i = 0; i < entries.size(); i++) {
                checkRecord(entries.get(i), records.get(i));
            }
            long at = 0;
            for (Entry entry : entries) {
                if (entry.start != at) {
                    throw new Refused(entry.name + ": starts at byte " + entry.start + ", " + at
                            + " expected: " + (entry.start < at
                                    ? "overlaps what is before it" : "bytes before it are no one's"));
                }
                at = entry.end();
            }
            if (at != directory) {
                throw new Refused("the last entry ends at byte " + at
                        + ", and the directory starts at " + directory + ": "
                        + (at > directory ? "it overlaps what is before it" : "bytes are no one's"));
            }
            Map<String, Entry> found = new LinkedHashMap<>();
            for (Entry entry : entries) {
                checkLocal(entry);
                found.put(entry.name, entry);
            }
            return found;
        }

        private long[] expected(Entry entry) {
            int name = bytes(entry.name).length;
            return new long[] {
                (3 << 8) | 20, 20, 0x0800, 0, time, date, entry.crc, entry.size, entry.size, name, 0, 0,
                0, 0, 0100644L << 16, entry.start};
        }

        private void checkRecord(Entry entry, long[] fields) throws Refused {
            long[] expected = expected(entry);
            for (int i = 0; i < fields.length; i++) {
                if (fields[i] != expected[i]) {
                    throw new Refused(entry.name + ": " + told(FIELDS[i], fields[i], expected[i]));
                }
            }
        }

        private static String told(String field, long found, long wanted) {
            if (field.equals("method")) {
                return "is compressed (method " + found + "), and must be stored";
            }
            if (field.equals("flags") && (found & 1) != 0) {
                return "is encrypted";
            }
            if (field.equals("flags") && (found & 8) != 0) {
                return "has its size and CRC in a data descriptor";
            }
            long kind = found >> 28;
            if (field.equals("attributes") && (kind == 0xA || kind == 4)) {
                return "is " + (kind == 4 ? "a directory" : "a symbolic link") + ", not a plain file";
            }
            return field + " is " + found + ", " + wanted + " expected";
        }

        private void checkLocal(Entry entry) throws Refused, IOException {
            byte[] name = bytes(entry.name);
            byte[] extra = entry.extra();
            long[] expected = expected(entry);
            expected[10] = extra.length;
            ByteBuffer found = read(entry.start, 30 + name.length + extra.length);
            if (found.getInt() != 0x04034B50) {
                throw new Refused(entry.name + ": has no local header");
            }
            for (int i = NEEDED; i < NEEDED + SHARED; i++) {
                long value = WIDTHS[i] == 2 ? found.getShort() & 0xFFFF : found.getInt() & 0xFFFFFFFFL;
                if (value != expected[i]) {
                    throw new Refused(entry.name + ": its local header is not what the directory says: "
                            + FIELDS[i]);
                }
            }
            if (!Arrays.equals(name, next(found, name.length))) {
                throw new Refused(entry.name + ": has another name in its local header");
            }
            if (!Arrays.equals(extra, next(found, extra.length))) {
                throw new Refused(entry.name + ": is not padded as its alignment asks");
            }
        }

        /** Whether the entries are of the manifest's time. */
        void checkTime(Long epoch) throws Refused {
            if (epoch == null || epoch < 315532800L || epoch > 4354819198L) {
                throw new Refused("manifest.json: epoch: is not a time that a zip can name");
            }
            ZonedDateTime at = Instant.ofEpochSecond(epoch).atZone(ZoneOffset.UTC);
            long wanted = at.getHour() << 11 | at.getMinute() << 5 | at.getSecond() / 2;
            long day = (at.getYear() - 1980) << 9 | at.getMonthValue() << 5 | at.getDayOfMonth();
            if (time != wanted || date != day) {
                throw new Refused("manifest.json: epoch " + epoch + " is not the time of the entries");
            }
        }

        /** A small member's bytes. */
        byte[] text(Entry entry) throws Refused, IOException {
            if (entry.size > MAX_TEXT) {
                throw new Refused(entry.name + ": longer than " + MAX_TEXT + " bytes");
            }
            ByteArrayOutputStream out = new ByteArrayOutputStream((int) entry.size);
            stream(file, entry, (bytes, length) -> out.write(bytes, 0, length));
            return out.toByteArray();
        }

        /** SHA-256 of a member whose CRC-32 is what the zip says. */
        String digest(Entry entry, String listed) throws Refused, IOException {
            MessageDigest digest = sha256();
            CRC32 crc = new CRC32();
            stream(file, entry, (bytes, length) -> {
                digest.update(bytes, 0, length);
                crc.update(bytes, 0, length);
            });
            String found = hex(digest.digest());
            if (listed != null && !found.equals(listed)) {
                throw new Refused(entry.name + ": bytes changed: SHA-256 is " + found + ", SHA256SUMS says "
                        + listed);
            }
            if (crc.getValue() != entry.crc) {
                throw new Refused(String.format("%s: bytes changed: CRC-32 is %08x, not %08x", entry.name,
                        crc.getValue(), entry.crc));
            }
            return found;
        }

        private ByteBuffer read(long at, int length) throws Refused, IOException {
            ByteBuffer buffer = little(length);
            file.position(at);
            while (buffer.hasRemaining() && file.read(buffer) > 0) {
                continue;
            }
            if (buffer.hasRemaining()) {
                throw new Refused("the zip is cut short");
            }
            buffer.flip();
            return buffer;
        }

        private static byte[] next(ByteBuffer buffer, int length) {
            byte[] found = new byte[length];
            buffer.get(found);
            return found;
        }
    }

    /** Which names every system unpacks as written. */
    static final class Names {
        private static final Pattern FORBIDDEN = Pattern.compile("[\\x00-\\x1f\\x7f<>:\"|?*\\\\]");
        private static final Pattern DEVICE =
                Pattern.compile("(?i)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\\..*)?");

        private Names() {}

        static void check(List<Entry> entries) throws Refused {
            Map<String, String> seen = new HashMap<>();
            byte[] before = null;
            boolean sorted = true;
            for (Entry entry : entries) {
                String fault = fault(entry.name);
                if (fault != null) {
                    throw new Refused("'" + shown(entry.name) + "': " + fault);
                }
                String other = seen.putIfAbsent(folded(entry.name), entry.name);
                if (other != null) {
                    throw new Refused("'" + entry.name + "': the name is there "
                            + (other.equals(entry.name) ? "a second time" : "beside '" + other + "'"));
                }
                byte[] name = bytes(entry.name);
                sorted &= before == null || Arrays.compareUnsigned(before, name) < 0;
                before = name;
            }
            for (Map.Entry<String, String> one : seen.entrySet()) {
                for (int at = one.getKey().indexOf('/'); at >= 0; at = one.getKey().indexOf('/', at + 1)) {
                    String above = seen.get(one.getKey().substring(0, at));
                    if (above != null) {
                        throw new Refused("'" + one.getValue() + "': lies below '" + above + "', a file");
                    }
                }
            }
            if (!sorted) {
                throw new Refused("the entries are not sorted by name");
            }
        }

        /** One spelling for names that a file system may take for the same. */
        private static String folded(String name) {
            return name.toUpperCase(Locale.ROOT).toLowerCase(Locale.ROOT);
        }

        private static String shown(String name) {
            return name.replaceAll("[\\x00-\\x1f\\x7f]", "?");
        }

        private static String fault(String name) {
            List<String> parts = Arrays.asList(name.split("/", -1));
            if (name.isEmpty()) {
                return "the name is empty";
            }
            if (name.startsWith("/")) {
                return "the name is absolute";
            }
            if (name.endsWith("/")) {
                return "the name is a directory's";
            }
            if (parts.contains("..")) {
                return "the name leads out of the archive";
            }
            if (parts.contains("") || parts.contains(".")) {
                return "the name has an empty or '.' part";
            }
            if (FORBIDDEN.matcher(name).find()) {
                return "the name has a character that a file system forbids";
            }
            if (name.startsWith("-")) {
                return "the name starts with '-'";
            }
            for (String part : parts) {
                if (part.endsWith(".") || part.endsWith(" ")) {
                    return "a part of the name ends with a dot or a space";
                }
                if (DEVICE.matcher(part).matches()) {
                    return "a part of the name is a device of Windows";
                }
            }
            if (!Normalizer.isNormalized(name, Normalizer.Form.NFC)) {
                return "the name is not text in Unicode's NFC form";
            }
            return bytes(name).length > MAX_NAME ? "the name is too long" : null;
        }
    }

    // ---- Digests and members ------------------------------------------------------------------------

    private static final Pattern SUM = Pattern.compile("([0-9a-f]{64})  ([^\\n]+)\\n");

    private static Map<String, String> listed(byte[] sums) {
        Map<String, String> found = new TreeMap<>(EdgepackVerifier::byBytes);
        Matcher line = SUM.matcher(new String(sums, StandardCharsets.UTF_8));
        while (line.find()) {
            found.put(line.group(2), line.group(1));
        }
        return found;
    }

    private static int byBytes(String one, String other) {
        return Arrays.compareUnsigned(bytes(one), bytes(other));
    }

    private static void checkDigests(Archive archive, Map<String, String> digests, byte[] sums)
            throws Refused, IOException {
        Map<String, Entry> entries = archive.entries;
        for (String name : digests.keySet()) {
            if (!entries.containsKey(name)) {
                throw new Refused(name + ": missing; SHA256SUMS lists it");
            }
        }
        StringBuilder expected = new StringBuilder();
        for (Entry entry : entries.values()) {
            String listed = digests.get(entry.name);
            if (listed == null && !Signed.MEMBER.matcher(entry.name).matches()) {
                throw new Refused(entry.name + ": SHA256SUMS does not list it");
            }
            archive.digest(entry, listed);
            if (listed != null && !entry.name.equals(SUMS)) {
                expected.append(listed).append("  ").append(entry.name).append('\n');
            }
        }
        if (!Arrays.equals(sums, bytes(expected.toString()))) {
            throw new Refused("SHA256SUMS: the lines are not sorted, ended or unique as they must be");
        }
    }

    private static void checkMembers(Map<String, Object> manifest, Map<String, String> digests)
            throws Refused {
        Set<String> names = digests.keySet();
        Set<String> wanted = new TreeSet<>(Arrays.asList(SUMS, MANIFEST));
        if (!strings(manifest.get("classes")).isEmpty()) {
            wanted.add(LABELS);
        }
        Set<String> variants = new HashSet<>();
        List<Map<String, Object>> models = maps(manifest.get("models"));
        if (models.isEmpty()) {
            throw new Refused("manifest.json: models: there are none");
        }
        for (Map<String, Object> model : models) {
            variants.add((String) model.get("variant"));
            if (!("models/" + model.get("variant") + ".tflite").equals(model.get("path"))) {
                throw new Refused("manifest.json: models: the path '" + model.get("path")
                        + "' is named after no variant");
            }
            wanted.add((String) model.get("path"));
        }
        if (manifest.get("attachments") != null) {
            for (String name : strings(manifest.get("attachments"))) {
                if (!ATTACHMENT.matcher(name).matches()) {
                    throw new Refused("manifest.json: attachments: there is no place for '" + name
                            + "' in a bundle");
                }
                wanted.add(name);
            }
        }
        for (String name : names) {
            if (!wanted.contains(name)) {
                throw new Refused(name + ": not listed in the manifest");
            }
        }
        for (String name : wanted) {
            if (!names.contains(name)) {
                throw new Refused(name + ": missing; the manifest calls for it");
            }
        }
        for (Map<String, Object> model : models) {
            String found = digests.get((String) model.get("path"));
            Object claimed = model.get("digest") instanceof Map
                    ? ((Map<?, ?>) model.get("digest")).get("sha256") : model.get("sha256");
            if (!found.equals(claimed)) {
                throw new Refused(model.get("path") + ": sha256 is '" + found
                        + "', and the manifest says '" + claimed + "' of " + model.get("variant"));
            }
        }
        for (Map<String, Object> target : maps(manifest.get("targets"))) {
            for (String variant : strings(target.get("variants"))) {
                if (!variants.contains(variant)) {
                    throw new Refused("manifest.json: targets: " + target.get("name") + " takes ['"
                            + variant + "'], which is not there");
                }
            }
        }
    }

    private static final Pattern ATTACHMENT =
            Pattern.compile("provenance\\.intoto\\.json|sbom\\.cdx\\.json|vectors/.+");

    private static void checkLabels(Archive archive, Map<String, Object> manifest)
            throws Refused, IOException {
        List<String> classes = strings(manifest.get("classes"));
        if (classes.isEmpty()) {
            return;
        }
        byte[] found = archive.text(archive.entries.get(LABELS));
        byte[] wanted = bytes(String.join("\n", classes) + "\n");
        int at = Arrays.mismatch(found, wanted);
        if (at >= 0) {
            int line = 1;
            for (int i = 0; i < at; i++) {
                line += found[i] == '\n' ? 1 : 0;
            }
            throw new Refused(
                    "labels.txt: its lines are not the classes of the manifest, from line " + line + " on");
        }
    }

    // ---- The manifest -------------------------------------------------------------------------------

    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}");
    private static final Pattern VERSION =
            Pattern.compile("(?=.{1,100}$)[0-9]+\\.[0-9]+\\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?");
    private static final Pattern DAY =
            Pattern.compile("(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?");
    private static final long GREATEST = (1L << 53) - 1;

    @SuppressWarnings("unchecked")
    private static Map<String, Object> manifest(Archive archive) throws Refused, IOException {
        if (!archive.entries.containsKey(MANIFEST)) {
            throw new Refused("manifest.json: missing");
        }
        Object found = new Json(archive.text(archive.entries.get(MANIFEST))).read();
        if (!(found instanceof Map) || !(((Map<?, ?>) found).get("schema_version") instanceof Long)) {
            throw new Refused("manifest.json: schema_version: is not a number");
        }
        Map<String, Object> manifest = (Map<String, Object>) found;
        long schema = (Long) manifest.get("schema_version");
        if (schema != 1) {
            throw new Refused("manifest.json: schema_version " + schema
                    + " is unknown here; a newer edgepack reads it");
        }
        require(manifest.get("name") instanceof String
                && NAME.matcher((String) manifest.get("name")).matches(), "name: is not a name");
        require(manifest.get("version") instanceof String
                && VERSION.matcher((String) manifest.get("version")).matches(), "version: is not a version");
        require(manifest.get("failed") instanceof Boolean, "failed: is not true or false");
        Object sequence = manifest.get("sequence");
        require(sequence == null || sequence instanceof Long && (Long) sequence >= 0
                && (Long) sequence <= GREATEST, "sequence: is not a whole number up to 2^53 - 1");
        Object expires = manifest.getOrDefault("expires", "");
        require(expires instanceof String && DAY.matcher((String) expires).matches(),
                "expires: is not YYYY-MM-DDTHH:MM:SSZ");
        require(manifest.get("epoch") instanceof Long, "epoch: is not a whole number");
        for (String list : new String[] {"models", "targets"}) {
            require(objects(manifest.get(list)), list + ": is not a list of objects");
        }
        for (Map<String, Object> model : maps(manifest.get("models"))) {
            require(model.get("variant") instanceof String && model.get("path") instanceof String,
                    "models: one has no variant or path");
        }
        for (Map<String, Object> target : maps(manifest.get("targets"))) {
            require(target.get("name") instanceof String && texts(target.get("variants")),
                    "targets: one has no name or variants");
        }
        require(texts(manifest.get("classes")), "classes: is not a list of texts");
        require(manifest.get("attachments") == null || texts(manifest.get("attachments")),
                "attachments: is not a list of texts");
        return manifest;
    }

    private static void require(boolean holds, String fault) throws Refused {
        if (!holds) {
            throw new Refused("manifest.json: " + fault);
        }
    }

    private static boolean objects(Object value) {
        return value instanceof List && ((List<?>) value).stream().allMatch(one -> one instanceof Map);
    }

    private static boolean texts(Object value) {
        return value instanceof List && ((List<?>) value).stream().allMatch(one -> one instanceof String);
    }

    @SuppressWarnings("unchecked")
    private static List<Map<String, Object>> maps(Object value) {
        return (List<Map<String, Object>>) value;
    }

    @SuppressWarnings("unchecked")
    private static List<String> strings(Object value) {
        return (List<String>) value;
    }

    private static void checkRelease(Map<String, Object> manifest, Options options) throws Refused {
        if ((Boolean) manifest.get("failed") && !options.allowFailed) {
            throw new Refused("its gate refused this build, and somebody wrote it by --allow-failed");
        }
        String expires = (String) manifest.getOrDefault("expires", "");
        String now = options.now.truncatedTo(ChronoUnit.SECONDS).toString();
        if (!expires.isEmpty() && now.compareTo(expires) >= 0) {
            throw new Refused("expired on " + expires);
        }
    }

    /** RFC 8259, without duplicate keys and deep nesting. Whole numbers are Long, others Double. */
    static final class Json {
        private static final int DEPTH = 64;
        private static final Pattern NUMBER =
                Pattern.compile("-?(?:0|[1-9][0-9]*)(\\.[0-9]+)?([eE][-+]?[0-9]+)?");
        private final String text;
        private int at;

        Json(byte[] data) throws Refused {
            try {
                text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(data)).toString();
            } catch (CharacterCodingException error) {
                throw fault("is not UTF-8");
            }
        }

        Object read() throws Refused {
            Object value = value(0);
            if (at != text.length()) {
                throw fault(text.charAt(at) < 0x20 ? "it has control characters"
                        : "a character is out of place");
            }
            return value;
        }

        private Object value(int depth) throws Refused {
            if (depth > DEPTH) {
                throw fault("too many brackets");
            }
            switch (peek()) {
                case '{':
                    return object(depth);
                case '[':
                    return list(depth);
                case '"':
                    return string();
                case 't':
                    return word("true", true);
                case 'f':
                    return word("false", false);
                case 'n':
                    return word("null", null);
                default:
                    return number();
            }
        }

        private Map<String, Object> object(int depth) throws Refused {
            Map<String, Object> found = new LinkedHashMap<>();
            at++;
            if (skipped('}')) {
                return found;
            }
            do {
                String key = string();
                if (found.containsKey(key)) {
                    throw fault("a key is there twice");
                }
                expect(':');
                found.put(key, value(depth + 1));
            } while (skipped(','));
            expect('}');
            return found;
        }

        private List<Object> list(int depth) throws Refused {
            List<Object> found = new ArrayList<>();
            at++;
            if (skipped(']')) {
                return found;
            }
            do {
                found.add(value(depth + 1));
            } while (skipped(','));
            expect(']');
            return found;
        }

        private String string() throws Refused {
            expect('"');
            StringBuilder found = new StringBuilder();
            while (peek() != '"') {
                char next = text.charAt(at++);
                if (next < 0x20) {
                    throw fault("it has control characters");
                }
                found.append(next == '\\' ? escaped() : next);
            }
            at++;
            return found.toString();
        }

        private char escaped() throws Refused {
            int kind = "\"\\/bfnrt".indexOf(peek());
            char next = text.charAt(at++);
            if (kind >= 0) {
                return "\"\\/\b\f\n\r\t".charAt(kind);
            }
            String digits = text.substring(at, Math.min(at + 4, text.length()));
            if (next != 'u' || !digits.matches("[0-9a-fA-F]{4}")) {
                throw fault("a character is out of place");
            }
            at += 4;
            return (char) Integer.parseInt(digits, 16);
        }

        private Object number() throws Refused {
            Matcher found = NUMBER.matcher(text).region(at, text.length());
            if (!found.lookingAt()) {
                throw fault("a character is out of place");
            }
            at = found.end();
            if (found.group(1) == null && found.group(2) == null && found.group().length() < 19) {
                return Long.valueOf(found.group());
            }
            return found.group().length() > 400 ? Double.NaN : Double.valueOf(found.group());
        }

        private Object word(String word, Object value) throws Refused {
            if (!text.startsWith(word, at)) {
                throw fault("a character is out of place");
            }
            at += word.length();
            return value;
        }

        private boolean skipped(char wanted) throws Refused {
            boolean there = peek() == wanted;
            at += there ? 1 : 0;
            return there;
        }

        private void expect(char wanted) throws Refused {
            if (!skipped(wanted)) {
                throw fault("a character is out of place");
            }
        }

        private char peek() throws Refused {
            if (at >= text.length()) {
                throw fault("it is cut short");
            }
            return text.charAt(at);
        }

        private static Refused fault(String what) {
            return new Refused("manifest.json: not canonical JSON: " + what);
        }
    }

    // ---- Signatures ---------------------------------------------------------------------------------

    private static final String PAYLOAD_TYPE = "application/vnd.in-toto+json";
    private static final BigInteger ORDER = new BigInteger(
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16);

    /** What the signatures of a bundle say, once they hold. */
    static final class Signed {
        static final Pattern MEMBER = Pattern.compile("signatures/([0-9a-f]{64})\\.sigstore\\.json");
        private static final int MOST = 32;
        private static final int MAX_BYTES = 1 << 20;
        private static final Pattern TEXT = Pattern.compile(Pattern.quote(
                "{\"dsseEnvelope\":{\"payload\":\"") + "([A-Za-z0-9+/=]*)" + Pattern.quote(
                "\",\"payloadType\":\"" + PAYLOAD_TYPE + "\",\"signatures\":[{\"sig\":\"")
                + "([A-Za-z0-9+/=]*)" + Pattern.quote(
                "\"}]},\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\","
                + "\"verificationMaterial\":{\"publicKey\":{\"hint\":\"") + "([0-9a-f]{64})"
                + Pattern.quote("\"}}}"));

        final List<String> checked = new ArrayList<>();
        final List<String> unchecked = new ArrayList<>();
        final Set<String> names = new HashSet<>();
        private final Map<String, String> digests;

        Signed(Archive archive, Map<String, String> digests, Map<String, ECPublicKey> keys)
                throws Refused, IOException {
            this.digests = digests;
            Map<String, Entry> found = new LinkedHashMap<>();
            for (Entry entry : archive.entries.values()) {
                Matcher member = MEMBER.matcher(entry.name);
                if (member.matches()) {
                    found.put(member.group(1), entry);
                }
            }
            if (!keys.isEmpty() && Collections.disjoint(keys.keySet(), found.keySet())) {
                throw new Refused(unsigned(found.keySet()));
            }
            if (found.size() > MOST) {
                throw new Refused("more than " + MOST + " signatures");
            }
            for (Map.Entry<String, Entry> one : found.entrySet()) {
                examine(archive, one.getKey(), one.getValue(), keys.get(one.getKey()));
                (keys.containsKey(one.getKey()) ? checked : unchecked).add(one.getKey());
            }
        }

        private static String unsigned(Collection<String> others) {
            if (others.isEmpty()) {
                return "not signed: a key was given, and the bundle holds no signature";
            }
            List<String> shown = new ArrayList<>();
            others.forEach(id -> shown.add(id.substring(0, 16)));
            return "not signed by the given key: its signatures are by " + String.join(", ", shown);
        }

        private void examine(Archive archive, String id, Entry entry, ECPublicKey key)
                throws Refused, IOException {
            String by = "the signature by " + id.substring(0, 16);
            if (entry.size > MAX_BYTES) {
                throw new Refused(by + " is longer than " + MAX_BYTES + " bytes");
            }
            String text = new String(archive.text(entry), StandardCharsets.ISO_8859_1);
            Matcher parts = TEXT.matcher(text);
            if (!parts.matches() || !parts.group(3).equals(id)) {
                throw new Refused(by + " is not in canonical form");
            }
            byte[] payload = decoded(parts.group(1), by);
            byte[] signature = decoded(parts.group(2), by);
            if (key != null && !holds(key, signature, payload)) {
                throw new Refused(by + " does not hold: the contents or the signature were changed");
            }
            if (!isLesser(signature)) {
                throw new Refused(by + " is not in canonical form");
            }
            names.add(name(payload, by));
        }

        private static byte[] decoded(String text, String by) throws Refused {
            try {
                byte[] found = Base64.getDecoder().decode(text);
                if (Base64.getEncoder().encodeToString(found).equals(text)) {
                    return found;
                }
            } catch (IllegalArgumentException error) {
                throw new Refused(by + " is not in canonical form");
            }
            throw new Refused(by + " is not in canonical form");
        }

        private static boolean holds(ECPublicKey key, byte[] signature, byte[] payload) {
            try {
                Signature check = Signature.getInstance("SHA256withECDSA");
                check.initVerify(key);
                check.update(bytes("DSSEv1 " + PAYLOAD_TYPE.length() + " " + PAYLOAD_TYPE + " "
                        + payload.length + " "));
                check.update(payload);
                return check.verify(signature);
            } catch (GeneralSecurityException error) {
                return false; // not DER
            }
        }

        /** Whether a signature is minimal DER of r and the lesser of s and its negative. */
        private static boolean isLesser(byte[] der) {
            try {
                int r = der[3];
                BigInteger first = new BigInteger(Arrays.copyOfRange(der, 4, 4 + r));
                BigInteger second = new BigInteger(Arrays.copyOfRange(der, 6 + r, der.length));
                byte[] one = first.toByteArray();
                byte[] two = second.toByteArray();
                ByteBuffer made = ByteBuffer.allocate(6 + one.length + two.length)
                        .put((byte) 0x30).put((byte) (4 + one.length + two.length))
                        .put((byte) 2).put((byte) one.length).put(one)
                        .put((byte) 2).put((byte) two.length).put(two);
                return Arrays.equals(made.array(), der) && first.signum() > 0 && second.signum() > 0
                        && second.shiftLeft(1).compareTo(ORDER) <= 0;
            } catch (IndexOutOfBoundsException | IllegalArgumentException | NegativeArraySizeException
                    error) {
                return false;
            }
        }

        /** The release's name that was signed, where all else is what the digests make of it. */
        private String name(byte[] payload, String by) throws Refused {
            String text = new String(payload, StandardCharsets.UTF_8);
            String mark = "\"},\"name\":\"";
            int start = text.lastIndexOf(mark) + mark.length();
            int end = text.lastIndexOf("\"}]}");
            String name = end > start ? text.substring(start, end) : "";
            if (!Arrays.equals(payload, bytes(statement(name)))) {
                throw new Refused(by + " is for other contents than SHA256SUMS lists");
            }
            return name;
        }

        private String statement(String name) {
            MessageDigest root = sha256();
            List<String> resources = new ArrayList<>();
            for (Map.Entry<String, String> one : digests.entrySet()) {
                root.update(unhex(one.getValue()));
                resources.add("{\"algorithm\":\"sha256\",\"digest\":\"" + one.getValue() + "\",\"name\":\""
                        + one.getKey() + "\"}");
            }
            return "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"resources\":["
                    + String.join(",", resources) + "],\"serialization\":{\"allow_symlinks\":false,"
                    + "\"hash_type\":\"sha256\",\"ignore_paths\":[\"signatures\"],\"method\":\"files\"}},"
                    + "\"predicateType\":\"https://model_signing/signature/v1.0\",\"subject\":[{\"digest\":"
                    + "{\"sha256\":\"" + hex(root.digest()) + "\"},\"name\":\"" + name + "\"}]}";
        }
    }

    /** Public keys by their id: SHA-256 of the key's PEM, as OpenSSL prints it. */
    static Map<String, ECPublicKey> publicKeys(Collection<Path> paths) throws Usage, IOException {
        Map<String, ECPublicKey> found = new LinkedHashMap<>();
        for (Path path : paths) {
            ECPublicKey key = publicKey(path);
            String body = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(key.getEncoded());
            String pem = "-----BEGIN PUBLIC KEY-----\n" + body + "\n-----END PUBLIC KEY-----\n";
            found.put(hex(sha256().digest(bytes(pem))), key);
        }
        return found;
    }

    private static ECPublicKey publicKey(Path path) throws Usage, IOException {
        Matcher pem = Pattern.compile("-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\\s]+)-----END PUBLIC KEY-----")
                .matcher(new String(contents(path), StandardCharsets.ISO_8859_1));
        if (!pem.find()) {
            throw new Usage(path + ": is no public key in PEM");
        }
        try {
            byte[] der = Base64.getMimeDecoder().decode(pem.group(1));
            ECPublicKey key = (ECPublicKey) KeyFactory.getInstance("EC")
                    .generatePublic(new X509EncodedKeySpec(der));
            if (key.getParams().getOrder().equals(ORDER)) {
                return key;
            }
        } catch (GeneralSecurityException | IllegalArgumentException error) {
            throw new Usage(path + ": is no public key on the curve P-256");
        }
        throw new Usage(path + ": is no public key on the curve P-256");
    }

    // ---- The lock file ------------------------------------------------------------------------------

    /** The least sequence that an app's build takes of each bundle. */
    static final class Lock {
        private static final String HEAD = "# edgepack.lock 1: the least sequence of each bundle. "
                + "Commit it; only --update-lock changes it.";
        private static final Pattern LINE =
                Pattern.compile("(\\S+) (0|[1-9][0-9]{0,15}) sha256:([0-9a-f]{64}) (\\S+)");

        private Lock() {}

        static void check(Result bundle, Path path, boolean update) throws Refused, Usage, IOException {
            if (bundle.sequence() == null) {
                throw new Refused("no sequence: a lock needs one");
            }
            if (!update && !Files.exists(path)) {
                throw new Usage(path + ": there is no such lock file; write it once by --update-lock, and"
                        + " commit it");
            }
            Map<String, String> lines = Files.exists(path) ? read(path) : new TreeMap<>();
            String line = lines.get(bundle.name());
            if (line == null && !update) {
                throw new Refused(bundle.name() + " is not in edgepack.lock");
            }
            if (line != null) {
                compare(bundle, line);
            }
            String own = bundle.name() + " " + bundle.sequence() + " sha256:" + bundle.contents + " "
                    + bundle.version();
            if (update && !own.equals(line)) {
                lines.put(bundle.name(), own);
                write(path, HEAD + "\n" + String.join("\n", lines.values()) + "\n");
            }
        }

        private static void compare(Result bundle, String line) throws Refused {
            Matcher known = LINE.matcher(line);
            known.matches();
            long sequence = Long.parseLong(known.group(2));
            if (bundle.sequence() < sequence) {
                throw new Refused("sequence " + bundle.sequence() + " is lower than " + sequence
                        + " in edgepack.lock: an older release");
            }
            if (bundle.sequence() == sequence && !known.group(3).equals(bundle.contents)) {
                throw new Refused("sequence " + sequence + " is the one in edgepack.lock, and the contents"
                        + " are not: two releases of one sequence");
            }
        }

        private static Map<String, String> read(Path path) throws Usage, IOException {
            if (!Files.isRegularFile(path)) {
                throw new Usage(path + ": is not a regular file");
            }
            String text = new String(contents(path), StandardCharsets.UTF_8);
            List<String> lines = Arrays.asList(text.split("\n", -1));
            if (!lines.get(0).equals(HEAD) || !text.endsWith("\n")) {
                throw new Usage(path + ": is no edgepack.lock of version 1");
            }
            Map<String, String> found = new TreeMap<>();
            for (int number = 1; number < lines.size() - 1; number++) {
                Matcher line = LINE.matcher(lines.get(number));
                if (!line.matches() || Long.parseLong(line.group(2)) > GREATEST
                        || found.put(line.group(1), lines.get(number)) != null) {
                    throw new Usage(path + ":" + (number + 1) + ": is not NAME SEQUENCE sha256:DIGEST"
                            + " VERSION, or names a bundle again");
                }
            }
            return found;
        }

        private static void write(Path path, String text) throws IOException {
            Path target = path.toAbsolutePath();
            Path partial = Files.createTempFile(target.getParent(), ".edgepack-", ".tmp");
            try {
                Files.write(partial, bytes(text));
                move(partial, target);
            } finally {
                Files.deleteIfExists(partial);
            }
        }
    }

    // ---- Bytes --------------------------------------------------------------------------------------

    private static SeekableByteChannel opened(Path path) throws Usage, IOException {
        if (!Files.exists(path)) {
            throw new Usage(path + ": there is no such file");
        }
        if (!Files.isRegularFile(path)) {
            throw new Usage(path + ": not a bundle but a directory or a device");
        }
        return Files.newByteChannel(path);
    }

    /** A small file's bytes. */
    private static byte[] contents(Path path) throws Usage, IOException {
        try (InputStream in = Files.newInputStream(path)) {
            return in.readNBytes(1 << 20);
        } catch (NoSuchFileException error) {
            throw new Usage(path + ": there is no such file");
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static ByteBuffer little(int length) {
        return ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error); // every JDK has it
        }
    }

    private static String hex(byte[] data) {
        StringBuilder found = new StringBuilder(2 * data.length);
        for (byte one : data) {
            found.append(Character.forDigit(one >> 4 & 15, 16)).append(Character.forDigit(one & 15, 16));
        }
        return found.toString();
    }

    private static byte[] unhex(String text) {
        byte[] found = new byte[text.length() / 2];
        for (int i = 0; i < found.length; i++) {
            found[i] = (byte) Integer.parseInt(text.substring(2 * i, 2 * i + 2), 16);
        }
        return found;
    }

    // ---- The command --------------------------------------------------------------------------------

    private static final String HELP = String.join("\n",
            "java EdgepackVerifier.java BUNDLE --key KEY.pub [options]",
            "",
            "  --key FILE        public key that must have signed; repeatable: any of them",
            "  --unsigned        take no key: finds damage, and cannot find forgery",
            "  --lock FILE       refuse what is older than edgepack.lock says",
            "  --update-lock     then write into it that this one was taken",
            "  --allow-failed    take a bundle that its own gate refused",
            "  --extract DIR     copy the checked models, labels.txt and manifest.json there",
            "  --variant NAME    of the models, only this one; repeatable",
            "  --target NAME     of the models, only the one that is best for this target",
            "  --vectors         the golden vectors too: samples with every answer to them");

    /** See the head of this file. */
    public static void main(String[] arguments) {
        try {
            System.out.println(run(Arrays.asList(arguments)));
        } catch (Refused refused) {
            System.err.println("error: " + refused.getMessage());
            System.exit(4);
        } catch (Usage usage) {
            System.err.println("error: " + usage.getMessage());
            System.exit(2);
        } catch (IOException error) {
            System.err.println("error: cannot be read or written: " + error);
            System.exit(2);
        }
    }

    private static String run(List<String> arguments) throws Refused, Usage, IOException {
        Options options = new Options();
        Command command = new Command(arguments, options);
        if (command.help) {
            return HELP;
        }
        try (SeekableByteChannel file = opened(command.bundle)) {
            Result result = verify(file, options);
            Map<String, Path> copies = command.copies(result);
            extract(file, result, copies);
            for (Path copy : copies.values()) {
                System.out.println("Wrote " + copy);
            }
            return command.bundle + " holds: " + result.name() + " " + result.version() + " ("
                    + String.join(", ", result.variants().keySet()) + ")";
        }
    }

    private static final class Command {
        private Path bundle;
        private boolean help;
        private boolean unsigned;
        private boolean vectors;
        private Path directory;
        private String target;
        private final List<String> variants = new ArrayList<>();

        Command(List<String> arguments, Options options) throws Usage {
            for (int at = 0; at < arguments.size(); at++) {
                String option = arguments.get(at);
                String value = at + 1 < arguments.size() ? arguments.get(at + 1) : null;
                at += take(option, value, options) ? 1 : 0;
            }
            help |= arguments.isEmpty();
            if (help) {
                return;
            }
            if (bundle == null) {
                throw new Usage("no bundle is named; --help says how");
            }
            if (options.keys.isEmpty() != unsigned) {
                throw new Usage("name the key that must have signed by --key, or say --unsigned");
            }
            if (options.updateLock && options.lock == null) {
                throw new Usage("no lock file is named; name it by --lock edgepack.lock");
            }
        }

        /** Whether the option took a value. */
        private boolean take(String option, String value, Options options) throws Usage {
            switch (option) {
                case "--help":
                    help = true;
                    return false;
                case "--unsigned":
                    unsigned = true;
                    return false;
                case "--vectors":
                    vectors = true;
                    return false;
                case "--update-lock":
                    options.updateLock = true;
                    return false;
                case "--allow-failed":
                    options.allowFailed = true;
                    return false;
                default:
                    return takeValue(option, value, options);
            }
        }

        private boolean takeValue(String option, String value, Options options) throws Usage {
            if (!option.startsWith("-")) {
                if (bundle != null) {
                    throw new Usage(option + ": only one bundle is checked at a time");
                }
                bundle = Paths.get(option);
                return false;
            }
            if (value == null) {
                throw new Usage(option + " needs a value, or is no option; --help lists them");
            }
            switch (option) {
                case "--key":
                    options.keys.add(Paths.get(value));
                    return true;
                case "--lock":
                    options.lock = Paths.get(value);
                    return true;
                case "--extract":
                    directory = Paths.get(value);
                    return true;
                case "--variant":
                    variants.add(value);
                    return true;
                case "--target":
                    target = value;
                    return true;
                default:
                    throw new Usage(option + " is no option; --help lists them");
            }
        }

        /** Where each member goes that was asked for. */
        Map<String, Path> copies(Result result) throws Usage {
            Map<String, Path> found = new LinkedHashMap<>();
            if (directory == null) {
                return found;
            }
            for (String variant : wanted(result)) {
                String member = result.variants().get(variant);
                if (member == null) {
                    throw new Usage("the bundle has no variant " + variant + ", but "
                            + String.join(", ", result.variants().keySet()));
                }
                found.put(member, directory.resolve(variant + ".tflite"));
            }
            found.put(MANIFEST, directory.resolve(MANIFEST));
            for (String name : result.entries.keySet()) {
                if (vectors && name.startsWith("vectors/")) {
                    found.put(name, directory.resolve(name));
                }
            }
            if (result.entries.containsKey(LABELS)) {
                found.put(LABELS, directory.resolve(LABELS));
            }
            return found;
        }

        private Collection<String> wanted(Result result) throws Usage {
            if (target == null) {
                return variants.isEmpty() ? result.variants().keySet() : variants;
            }
            List<String> suited = result.variantsFor(target);
            if (suited == null || suited.isEmpty()) {
                throw new Usage("the bundle has nothing for the target " + target);
            }
            return suited.subList(0, 1);
        }
    }
}
