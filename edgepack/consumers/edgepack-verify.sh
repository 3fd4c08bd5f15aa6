#!/bin/sh
# edgepack-verify.sh: checks an edgepack bundle, and hands out copies of what it checked.
#
#   edgepack-verify.sh BUNDLE --key KEY.pub [--key KEY2.pub ...]
#                      [--lock edgepack.lock [--update-lock]] [--allow-failed]
#                      [--extract DIR] [--target NAME] [--variant VARIANT ...]
#
#   --key KEY.pub      a public key in PEM; a bundle must be signed by one of those that are given
#   --unsigned         instead of a key: finds damage, and cannot find forgery
#   --lock FILE        refuse a bundle that is older than this file says
#   --update-lock      then write into it that this one was taken
#   --allow-failed     take a bundle that its own gate refused
#   --extract DIR      put the members there; DIR is replaced as a whole, or not at all
#   --target NAME      of the models, only those that the bundle has for this target
#   --variant VARIANT  of the models, only this one; may be repeated
#
# Without options it reads EDGEPACK_BUNDLE, EDGEPACK_KEY, EDGEPACK_LOCK and EDGEPACK_TARGET. In a
# run-script phase of Xcode it makes the phase's output files, each of which ends in a member's name
# (manifest.json, labels.txt, int8.tflite); where there are none, a folder of the release's name among
# the app's resources.
#
# Exit codes: 0 the bundle holds; 2 usage (no such file, bad key, bad lock file, disk); 4 refused.
# Messages start with "error: ", "warning: " or "note: ", which Xcode shows beside the build.

# POSIX sh with 64-bit arithmetic, and what macOS and every Linux machine have: awk, cat, cmp, cp, date,
# dd, fold, grep, head, mkdir, mktemp, mv, od, rm, sed, sort, tail, tr, wc, openssl, and for digests one
# of sha256sum, shasum and openssl. What was heeded, so that BSD, GNU and BusyBox do the same:
#   - no option that only one of them has: mktemp takes a whole template; openssl does base64, folded at
#     64 columns because old ones fail at long lines; wc pads its numbers on BSD;
#   - head -c and mktemp -d are in all of them, though POSIX got them late or never; BSD's head refuses
#     -c 0, so that empty members are never asked of it;
#   - awk: no {n} in patterns (old mawk), numbers up to 4 GiB by %.0f (32-bit %d), and no bytes above 127
#     made by awk itself (some make UTF-8 of them): those go through od as numbers, and come back by the
#     shell's printf %b;
#   - no local, no arrays, no pipefail: what a pipeline leaves is looked at instead, and a truncated
#     note of it is refused.
#
# The archive is read here and not by unzip: members of a bundle are stored, so that extraction is
# copying bytes, and unzip takes more than the one form that is allowed. Every byte is compared with the
# form that names, sizes and CRCs leave. Only edgepack verify checks CRC-32 itself (SHA-256 is checked
# here), Unicode's NFC and case beyond ASCII (names that the file system takes for one are refused), the
# time of the entries, the manifest's other fields, and what the .tflite files say of themselves.

set -u
LC_ALL=C
export LC_ALL
unset CDPATH

GREATEST=9007199254740991 # of a sequence: the last whole number that every JSON reader has
MAX_SIZE=4294967294       # of a bundle: beyond it, zip64
MAX_ENTRIES=1000
MAX_DIRECTORY=1048576
LOCK_HEAD='# edgepack.lock 1: the least sequence of each bundle. Commit it; only --update-lock changes it.'

# What was asked for.
bundle=${EDGEPACK_BUNDLE-}
keys='' # paths, one a line
unsigned=''
lock=${EDGEPACK_LOCK-}
update_lock=''
allow_failed=''
extract=''
target=${EDGEPACK_TARGET-}
variants='' # one a line

# What was made: of this run only.
work=''
stage=''
new_lock=''

# ---------------------------------------------------------------- messages

misuse() { # MESSAGE [HINT]
    printf 'error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf '  %s\n' "$2" >&2
    exit 2
}

faulty=''
fault() { # MESSAGE: one of several; settle ends the run
    printf 'error: %s: %s\n' "$bundle" "$1" >&2
    faulty=yes
}

settle() {
    [ -z "$faulty" ] || exit 4
}

refuse() { # MESSAGE [HINT]
    fault "$1"
    [ -z "${2-}" ] || printf '  %s\n' "$2" >&2
    exit 4
}

usage() {
    sed -n '2,/^$/s/^#[ ]\{0,1\}//p' "$0"
}

# ---------------------------------------------------------------- arguments

configure() {
    while [ $# -gt 0 ]; do
        case $1 in
        --*=*)
            value=${1#*=}
            option=${1%%=*}
            shift
            set -- "$option" "$value" "$@"
            ;;
        --key | --lock | --extract | --variant | --target)
            [ -n "${2-}" ] || misuse "$1 needs a value"
            set_option "$1" "$2"
            shift 2
            ;;
        --update-lock) update_lock=yes && shift ;;
        --allow-failed) allow_failed=yes && shift ;;
        --unsigned) unsigned=yes && shift ;;
        -h | --help) usage && exit 0 ;;
        --) shift && break ;;
        -*) misuse "there is no option $1" "See --help." ;;
        *) take_bundle "$1" && shift ;;
        esac
    done
    [ $# -le 1 ] || misuse "one bundle at a time"
    [ $# -eq 0 ] || take_bundle "$1"
    check_options
}

set_option() { # OPTION VALUE
    case $1 in
    --key) keys="$keys$2
" ;;
    --variant) variants="$variants$2
" ;;
    --lock) lock=$2 ;;
    --extract) extract=$2 ;;
    --target) target=$2 ;;
    esac
}

named=''
take_bundle() {
    [ -z "$named" ] || misuse "one bundle at a time: $named, and $1"
    named=$1
    bundle=$1
}

check_options() {
    [ -n "$bundle" ] || misuse "no bundle is named" "Name it first, or in EDGEPACK_BUNDLE. See --help."
    [ -n "$keys$unsigned" ] || keys=${EDGEPACK_KEY-}
    [ -z "$keys" ] || [ -z "$unsigned" ] || misuse "--key and --unsigned contradict each other"
    [ -n "$keys$unsigned" ] || misuse "no key is named: whose bundle this is cannot be checked" \
        "Name the public key by --key or in EDGEPACK_KEY; --unsigned finds damage only, not forgery."
    [ -z "$update_lock" ] || [ -n "$lock" ] || misuse "no lock file is named" "Name it by --lock edgepack.lock."
    command -v openssl >/dev/null 2>&1 || misuse "there is no openssl here, and signatures need it"
    bundle=$(operand "$bundle")
    lock=$(operand "$lock")
    [ -e "$bundle" ] || misuse "$bundle: there is no such file"
    { [ -f "$bundle" ] && [ -r "$bundle" ]; } || misuse "$bundle: is not a file that can be read"
}

operand() { # PATH: one that no tool takes for an option
    case $1 in
    -*) printf './%s' "$1" ;;
    *) printf '%s' "$1" ;;
    esac
}

# ---------------------------------------------------------------- directories

# `work` has notes and texts, `stage` the members, under numbers instead of names. Both are private
# (mktemp -d: 0700); stage lies on the file system of the destination, so that moving is renaming. In
# Xcode both lie below TARGET_TEMP_DIR, which its script sandbox leaves open, on the volume of the
# products; DERIVED_FILE_DIR it closes (swiftlang/swift-build, TaskProducerSandboxing.swift).
prepare() {
    scratch=${TARGET_TEMP_DIR:-${TMPDIR:-/tmp}}
    [ -d "$scratch" ] || mkdir -p "$scratch" 2>/dev/null || misuse "$scratch: cannot be made"
    work=$(mktemp -d "${scratch%/}/edgepack.XXXXXX" 2>/dev/null) || misuse "$scratch: cannot be written"
    destination
    stage=$work
    [ -z "$parent" ] || stage_beside "$parent"
}

cleanup() {
    trap '' HUP INT TERM
    [ -z "$stage" ] || restore
    [ -z "$new_lock" ] || rm -f "$new_lock"
    [ -z "$work" ] || rm -rf "$work"
    [ -z "$stage" ] || rm -rf "$stage"
}

# Where the copies go: a directory `extract` in `parent`, the `outputs` that Xcode declares, or nowhere.
parent=''
outputs=''
destination() {
    if [ -n "$extract" ]; then
        destination_directory "$(operand "$extract")"
    elif [ "${SCRIPT_OUTPUT_FILE_COUNT:-0}" -gt 0 ] || [ "${SCRIPT_OUTPUT_FILE_LIST_COUNT:-0}" -gt 0 ]; then
        outputs=yes
    elif [ -n "${TARGET_BUILD_DIR-}" ] && [ -n "${UNLOCALIZED_RESOURCES_FOLDER_PATH-}" ]; then
        parent=$TARGET_BUILD_DIR/$UNLOCALIZED_RESOURCES_FOLDER_PATH # and the release's name, once it is known
    fi
}

destination_directory() {
    extract=$1
    tries=0
    while [ -d "$extract" ]; do # another run may be replacing it just now
        ! real=$(cd "$extract" 2>/dev/null && pwd -P) || { extract=$real && break; }
        tries=$((tries + 1))
        [ "$tries" -le 9 ] || misuse "$1: cannot be entered"
    done
    while :; do
        case $extract in
        ?*/) extract=${extract%/} ;;
        *) break ;;
        esac
    done
    case $extract in
    / | .. | */.. | . | */.) misuse "$1: is not a directory that can be replaced" ;;
    /*/*) parent=${extract%/*} ;;
    /*) parent=/ ;;
    */*) parent=${extract%/*} ;;
    *) parent=. ;;
    esac
    extract=${extract##*/}
    check_replaceable "${parent%/}/$extract"
}

stage_beside() { # PARENT, or the nearest directory above that is there
    above=$1
    while [ ! -d "$above" ]; do
        case $above in
        ?*/*) above=${above%/*} ;;
        /*) above=/ ;;
        *) above=. ;;
        esac
    done
    stage=$(mktemp -d "${above%/}/.edgepack.XXXXXX" 2>/dev/null) || misuse "$above: cannot be written"
}

# A directory is replaced as a whole; so it must be empty, or what an earlier run has left.
check_replaceable() { # DIRECTORY
    if [ ! -d "$1" ]; then # another run may be replacing it just now, so it is asked but once
        [ -e "$1" ] || [ -h "$1" ] || return 0
        [ -d "$1" ] || misuse "$1: is not a directory"
    fi
    for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        [ -e "$entry" ] || [ -h "$entry" ] || continue
        case ${entry##*/} in
        SHA256SUMS | labels.txt | manifest.json | models | signatures | vectors) ;;
        provenance.intoto.json | sbom.cdx.json | .DS_Store) ;;
        *) misuse "$1: holds ${entry##*/}, which no bundle put there" \
            "Name a directory of its own: it is replaced as a whole." ;;
        esac
    done
}

# ---------------------------------------------------------------- the archive

sha256() { # FILE...: lines of digest and name
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum "$@"
    elif command -v shasum >/dev/null 2>&1; then
        shasum -a 256 "$@"
    else
        openssl dgst -sha256 -r "$@"
    fi
}

sha256_of_input() {
    cat >"$work/input" && sha256 "$work/input" | sed 's/^\\\{0,1\}\([0-9a-f]*\).*/\1/'
}

# Reads what is at the end: how many records there are, how long they are, where they start.
read_end() {
    size=$(($(wc -c <"$bundle")))
    if [ "$size" -lt 22 ] || [ "$size" -gt "$MAX_SIZE" ]; then
        refuse "$size bytes are too few or too many for a bundle"
    fi
    end=$(tail -c 22 "$bundle" | od -An -v -tu1 | awk \
        -v size="$size" -v max_entries="$MAX_ENTRIES" -v max_directory="$MAX_DIRECTORY" '
        function le(at, bytes,    value, unit) {
            for (unit = 1; bytes-- > 0; unit *= 256) value += b[at++] * unit
            return value + 0
        }
        { for (i = 1; i <= NF; i++) b[n++] = $i + 0 }
        END {
            if (n != 22 || le(0, 4) != 101010256) { print "no-end"; exit }
            count = le(10, 2); directory = le(12, 4); start = le(16, 4)
            if (le(4, 4) || le(20, 2) || le(8, 2) != count || start + directory != size - 22) print "misfit"
            else if (count > max_entries || directory > max_directory) print "many " count
            else printf "%.0f %.0f %.0f\n", count, directory, start
        }')
    case $end in
    [0-9]*) ;;
    many*) refuse "${end#many } entries, and $MAX_ENTRIES are allowed" ;;
    '') misuse "the tools here do not work: tail, od or awk" ;;
    misfit) refuse "the zip's end record does not fit the file: bytes added or removed" ;;
    *)
        [ "$(head -c 2 "$bundle")" = PK ] || refuse "not a zip archive"
        refuse "the zip does not end with its end record: it was cut short, or bytes were appended"
        ;;
    esac
    directory=${end#* }
    directory=${directory%% *}
    start=${end##* }
    count=${end%% *}
}

# Reads the directory, compares every field with the one that is allowed, and leaves $work/members:
# a line for each member: ID KIND SIZE OFFSET PADDING NAME HEADER, the last two as escapes for %b.
read_directory() {
    tail -c "$((directory + 22))" "$bundle" | od -An -v -tu1 | awk \
        -v count="$count" -v directory="$directory" -v start="$start" '
        function le(at, bytes,    value, unit) {
            for (unit = 1; bytes-- > 0; unit *= 256) value += b[at++] * unit
            return value + 0
        }
        function num(value) { return sprintf("%.0f", value) }
        function esc(byte) { return sprintf("\\0%03o", byte) }
        function little(value, bytes,    text) {
            for (; bytes-- > 0; value = int(value / 256)) text = text esc(value % 256)
            return text
        }
        function fault(text) { print "fault " text; faults++ }
        function unreadable(text) { fault(text); exit }
        function field(what, found, wanted) {
            if (found == wanted) return
            if (what == "method") fault(shown ": is compressed (method " num(found) "), and must be stored")
            else if (what == "flags" && found % 2) fault(shown ": is encrypted")
            else if (what == "flags" && int(found / 8) % 2)
                fault(shown ": has its size and CRC in a data descriptor")
            else if (what == "attributes" && int(found / 268435456) == 10)
                fault(shown ": is a symbolic link, not a plain file")
            else if (what == "attributes" && int(found / 268435456) == 4)
                fault(shown ": is a directory, not a plain file")
            else fault(shown ": " what " is " num(found) ", " num(wanted) " expected")
        }
        # The name of a record: raw and shown as escapes, text with ~ for what is not ASCII, folded.
        function read_name(at, length_,    i, byte) {
            raw = shown = text = folded = ""
            for (i = 0; i < length_; i++) {
                byte = b[at + i]
                raw = raw esc(byte)
                shown = shown esc(byte < 32 || byte == 127 ? 63 : byte)
                text = text (byte < 128 ? ascii[byte] : "~")
                folded = folded esc(byte >= 65 && byte <= 90 ? byte + 32 : byte)
            }
        }
        function is_utf8(at, length_,    i, byte, more, least) {
            for (i = 0; i < length_; i++) {
                byte = b[at + i]
                if (more > 0) {
                    if (byte < least || byte > most) return 0
                    more--; least = 128; most = 191
                } else if (byte >= 128) {
                    if (byte < 194 || byte > 244) return 0
                    more = byte < 224 ? 1 : byte < 240 ? 2 : 3
                    least = byte == 224 ? 160 : byte == 240 ? 144 : 128
                    most = byte == 237 ? 159 : byte == 244 ? 143 : 191
                }
            }
            return more == 0
        }
        function check_name(length_,    parts, n, i, part, device) {
            if (length_ == 0) return "the name is empty"
            if (text ~ /^\//) return "the name is absolute"
            n = split(text, parts, "/")
            for (i = 1; i <= n; i++) if (parts[i] == "..") return "the name leads out of the archive"
            if (text ~ /\/$/) return "the name is a directory\047s"
            for (i = 1; i <= n; i++) if (parts[i] == "" || parts[i] == ".") return "the name has an empty or \047.\047 part"
            if (text ~ /[<>:"|?*\\]/ || forbidden) return "the name has a character that a file system forbids"
            if (text ~ /^-/) return "the name starts with \047-\047"
            for (i = 1; i <= n; i++) {
                if (parts[i] ~ /[. ]$/) return "a part of the name ends with a dot or a space"
                part = tolower(parts[i])
                device = index(part, ".") ? substr(part, 1, index(part, ".") - 1) : part
                if (device ~ /^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/)
                    return "a part of the name is a device of Windows"
            }
            return length_ > 200 ? "the name is too long" : ""
        }
        function kind(    id) {
            if (text == "SHA256SUMS" || text == "manifest.json" || text == "labels.txt") return text
            id = substr(text, 12, 64)
            if (text == "signatures/" id ".sigstore.json" && length(id) == 64 && id !~ /[^0-9a-f]/) return id
            return "-"
        }
        function check_size(what) {
            if ((what == "SHA256SUMS" || what == "manifest.json") && size > 16777216)
                fault(shown ": longer than 16777216 bytes")
            if (length(what) == 64 && (size > 1048576 || ++signatures > 32))
                fault("more than 32 signatures, or one of more than 1048576 bytes")
        }
        function header(what,    zeros) {
            zeros = 0
            extra = ""
            if (text ~ /\.tflite$/) {
                zeros = (16384 - (at + 36 + bytes) % 16384) % 16384
                extra = little(55605, 2) little(2 + zeros, 2) little(16384, 2)
            }
            offset = at + 30 + bytes + (extra == "" ? 0 : 6) + zeros
            printf "member %s %.0f %.0f %d %s %s%s%s%s%s%s%s%s%s\n", what, size, offset, zeros, raw,
                "\\0120\\0113\\0003\\0004\\0024\\0000\\0000\\0010\\0000\\0000", little(stamp, 4), little(crc, 4),
                little(size, 4), little(size, 4), little(bytes, 2), little(extra == "" ? 0 : 6 + zeros, 2), raw, extra
        }
        function record(number,    what, wrong, i) {
            if (p + 46 > directory || le(p, 4) != 33639248) unreadable("record " number " of the directory is damaged")
            bytes = le(p + 28, 2)
            after = p + 46 + bytes + le(p + 30, 2) + le(p + 32, 2)
            if (after > directory) unreadable("record " number " of the directory is cut short")
            if (!is_utf8(p + 46, bytes)) unreadable("the name of record " number " is not UTF-8")
            read_name(p + 46, bytes)
            forbidden = 0
            for (i = 0; i < bytes; i++) if (b[p + 46 + i] < 32 || b[p + 46 + i] == 127) forbidden = 1
            if ((wrong = check_name(bytes)) != "") fault("\047" shown "\047: " wrong)
            check_clash()
            if (number == 1) stamp = le(p + 12, 4)
            size = le(p + 24, 4)
            crc = le(p + 16, 4)
            at = le(p + 42, 4)
            field("version made by", le(p + 4, 2), 788)
            field("version needed", le(p + 6, 2), 20)
            field("flags", le(p + 8, 2), 2048)
            field("method", le(p + 10, 2), 0)
            field("time and date", le(p + 12, 4), stamp)
            field("stored size", le(p + 20, 4), size)
            field("extra length", le(p + 30, 2), 0)
            field("comment length", le(p + 32, 2), 0)
            field("disk", le(p + 34, 2), 0)
            field("internal attributes", le(p + 36, 2), 0)
            field("attributes", le(p + 38, 4), 2175008768)
            if (at != expected)
                fault(shown ": starts at byte " num(at) ", " num(expected) " expected: " \
                    (at < expected ? "overlaps what is before it" : "bytes before it are no one\047s"))
            what = kind()
            check_size(what)
            header(what)
            expected = offset + size
            p = after
        }
        function check_clash() {
            if (folded in seen)
                fault("\047" shown "\047: the name is there " \
                    (seen[folded] == shown ? "a second time" : "beside \047" seen[folded] "\047"))
            else seen[folded] = shown
            if (raw < previous) unsorted = 1
            previous = raw
        }
        function check_below(    name, i) {
            for (name in seen)
                for (i = 1; i < length(name); i += 5)
                    if (substr(name, i, 5) == "\\0057" && (substr(name, 1, i - 1) in seen))
                        fault("\047" seen[name] "\047: lies below \047" seen[substr(name, 1, i - 1)] "\047, a file")
        }
        BEGIN { for (i = 1; i < 128; i++) ascii[i] = sprintf("%c", i); ascii[0] = "?" }
        { for (i = 1; i <= NF; i++) b[n++] = $i + 0 }
        END {
            if (n != directory + 22) unreadable("cannot be read to its end")
            p = expected = 0
            previous = ""
            for (r = 1; r <= count; r++) record(r)
            check_below()
            if (unsorted) fault("the entries are not sorted by name")
            if (p != directory) fault("the directory holds more than its " count " records")
            if (expected != start)
                fault("the last entry ends at byte " num(expected) ", and the directory starts at " num(start))
            print "end"
        }' >"$work/directory" || misuse "$work: cannot be written"
}

# Copies the members out, by number, and reports what the directory is faulty in.
extract_members() {
    mkdir "$stage/m" || misuse "$stage: cannot be written"
    number=1000
    sums='' manifest='' labels='' last=''
    while read -r word kind bytes offset padding name header; do
        case $word in
        member) ;;
        fault)
            text="$kind $bytes $offset $padding $name $header"
            fault "$(printf '%b' "${text%"${text##*[! ]}"}")"
            continue
            ;;
        *) last=$word && continue ;;
        esac
        number=$((number + 1))
        case $kind in
        SHA256SUMS) sums=$stage/m/$number ;;
        manifest.json) manifest=$stage/m/$number ;;
        labels.txt) labels=$stage/m/$number ;;
        esac
        printf '%s %s %s %s %s %s\n' "$number" "$kind" "$bytes" "$padding" "$name" "$header" >&3
        [ -n "$faulty" ] || extract_member >"$stage/m/$number" || misuse "$stage: cannot be written"
    done <"$work/directory" 3>"$work/members"
    settle
    [ "$last$number" = "end$((count + 1000))" ] || misuse "$work: cannot be written"
    [ -n "$sums" ] || fault "SHA256SUMS: missing"
    [ -n "$manifest" ] || fault "manifest.json: missing"
    settle
}

extract_member() {
    if [ "$bytes" -eq 0 ]; then
        :
    elif [ $((offset % 16384)) -eq 0 ]; then # models: large, and aligned
        dd if="$bundle" bs=16384 skip=$((offset / 16384)) count=$(((bytes + 16383) / 16384)) 2>/dev/null |
            head -c "$bytes"
    else
        tail -c "+$((offset + 1))" "$bundle" 2>/dev/null | head -c "$bytes"
    fi
}

# Puts the archive together again from the copies, and compares: local headers, padding, every byte.
compare_archive() {
    difference=$(rebuilt | cmp - "$bundle" 2>&1) && return
    byte=$(printf '%s\n' "$difference" | sed -n 's/.*[^0-9]\([0-9][0-9]*\), line.*/\1/p')
    refuse "$(printf '%b' "$(locate "${byte:-0}")")"
}

locate() { # BYTE, from 1: in words, as escapes for %b
    position=0
    while read -r number kind bytes padding name header; do
        fields=$((position + 30))
        named=$((fields + ${#name} / 5))
        padded=$((position + ${#header} / 5 + padding))
        position=$((padded + bytes))
        [ "$1" -le "$padded" ] || continue
        if [ "$1" -le "$fields" ]; then
            printf '%s: its local header is not what the directory says: %s' "$name" "$(field_at $((30 - fields + $1)))"
        elif [ "$1" -le "$named" ]; then
            printf '%s: has another name in its local header' "$name"
        else
            printf '%s: is not padded as its alignment asks' "$name"
        fi
        return
    done <"$work/members"
    printf 'changed while it was read'
}

field_at() { # BYTE of a local header, from 1
    case $1 in
    [1-4]) printf 'signature' ;;
    [56]) printf 'version needed' ;;
    [78]) printf 'flags' ;;
    9 | 10) printf 'method' ;;
    1[1-4]) printf 'time and date' ;;
    1[5-8]) printf 'CRC' ;;
    19 | 2[0-2]) printf 'stored size' ;;
    2[3-6]) printf 'size' ;;
    2[78]) printf 'name length' ;;
    *) printf 'extra length' ;;
    esac
}

rebuilt() {
    while read -r number kind bytes padding name header; do
        printf '%b' "$header"
        [ "$padding" -eq 0 ] || head -c "$padding" /dev/zero
        cat "$stage/m/$number"
    done <"$work/members"
    tail -c "$((directory + 22))" "$bundle"
}

# Leaves $work/sums, what SHA256SUMS must say; and $work/found: digest, size and name of the same members.
digest_members() {
    (cd "$stage/m" && sha256 ./*) >"$work/digests" || misuse "the members cannot be digested"
    sums_digest=''
    while read -r number kind bytes padding name header; do
        read -r digest file <&3
        [ "${file##*/}" = "$number" ] || misuse "the members cannot be digested"
        case $kind in
        SHA256SUMS) sums_digest=$digest ;;
        - | manifest.json | labels.txt)
            printf '%s  %b\n' "$digest" "$name" >&4
            printf '%s %s %b\n' "$digest" "$bytes" "$name" >&5
            ;;
        esac
    done <"$work/members" 3<"$work/digests" 4>"$work/sums" 5>"$work/found"
}

# ---------------------------------------------------------------- signatures

# Makes $work/ID.pem of each key that was given, ID being the SHA-256 of the very text that openssl prints.
read_keys() {
    while IFS= read -r key; do
        [ -z "$key" ] || read_key "$(operand "$key")"
    done <<END
$keys
END
}

read_key() { # PATH
    hint="Name the public key that edgepack keygen wrote, or one of: openssl pkey -pubout"
    { [ -f "$1" ] && [ -r "$1" ]; } || misuse "$1: cannot be read" "$hint"
    while read -r line; do
        case $line in
        *'PRIVATE KEY'*) misuse "$1: is a private key, and a public one is asked for" "$hint" ;;
        esac
    done <"$1"
    openssl pkey -pubin -in "$1" >"$work/key" 2>/dev/null || misuse "$1: is no public key" "$hint"
    { read -r line && read -r line; } <"$work/key" || line=''
    case $line in # how every SubjectPublicKeyInfo of an uncompressed point on P-256 starts
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE*) ;;
    *) misuse "$1: is not on the curve P-256" "$hint" ;;
    esac
    mv "$work/key" "$work/$(sha256_of_input <"$work/key").pem" || misuse "$work: cannot be written"
}

# Makes $work/statement of what SHA256SUMS lists: all of the signed text but the release's name at its end.
make_statement() {
    ROOTS=$work/roots awk -v own="$sums_digest" '
        function byte(at) { return sprintf("\\0%03o", 16 * digit[substr(hex, at, 1)] + digit[substr(hex, at + 1, 1)]) }
        function resource(digest, name,    i, line) {
            printf "%s{\"algorithm\":\"sha256\",\"digest\":\"%s\",\"name\":\"%s\"}", comma, digest, name
            comma = ","
            hex = digest
            for (i = 1; i < 64; i += 2) line = line byte(i)
            print line >ENVIRON["ROOTS"]
        }
        BEGIN {
            for (i = 0; i < 16; i++) digit[substr("0123456789abcdef", i + 1, 1)] = i
            printf "{\"_type\":\"https://in-toto.io/Statement/v1\",\"predicate\":{\"resources\":["
        }
        length($0) > 66 && substr($0, 1, 64) !~ /[^0-9a-f]/ && substr($0, 65, 2) == "  " {
            name = substr($0, 67) ""
            if (!done && name > "SHA256SUMS") { resource(own, "SHA256SUMS"); done = 1 }
            resource(substr($0, 1, 64), name)
        }
        END {
            if (!done) resource(own, "SHA256SUMS")
            printf "],\"serialization\":{\"allow_symlinks\":false,\"hash_type\":\"sha256\","
            printf "\"ignore_paths\":[\"signatures\"],\"method\":\"files\"}},"
            printf "\"predicateType\":\"https://model_signing/signature/v1.0\",\"subject\":[{\"digest\":{\"sha256\":\""
        }' "$sums" >"$work/statement" || misuse "$work: cannot be written"
    root=$(while read -r line; do printf '%b' "$line"; done <"$work/roots" | sha256_of_input)
    printf '%s"},"name":"' "$root" >>"$work/statement" || misuse "$work: cannot be written"
}

# Nothing that signatures cover is interpreted before this is through, except SHA256SUMS, line by line.
check_signatures() {
    signers='' others='' names=''
    while read -r number kind bytes padding name header; do
        case $kind in
        SHA256SUMS | manifest.json | labels.txt | -) continue ;;
        esac
        short=$(printf '%.16s' "$kind")
        if [ -f "$work/$kind.pem" ]; then
            signers="$signers${signers:+, }$short"
        else
            others="$others${others:+, }$short"
        fi
        check_signature "$kind" "$stage/m/$number"
    done <"$work/members"
    if [ -n "$signers$unsigned" ]; then
        :
    elif [ -n "$others" ]; then
        fault "not signed by the given key: its signatures are by $others"
    else
        fault "not signed: a key was given, and the bundle holds no signature"
    fi
    settle
}

check_signature() { # ID FILE
    by="the signature by $short"
    parts=$(sed -n 's|^{"dsseEnvelope":{"payload":"\([A-Za-z0-9+/=]*\)","payloadType":"application/vnd.in-toto+json","signatures":\[{"sig":"\([A-Za-z0-9+/=]*\)"}\]},"mediaType":.*$|\1 \2|p' "$2")
    from_base64 "${parts%% *}" "$work/payload"
    from_base64 "${parts##* }" "$work/signature"
    if [ -z "$parts" ]; then
        fault "$by is not in canonical form"
    elif [ -f "$work/$1.pem" ] && ! holds "$work/$1.pem"; then
        fault "$by does not hold: the contents or the signature were changed"
    elif ! { envelope "$1" | cmp -s - "$2"; } || ! is_canonical; then
        fault "$by is not in canonical form"
    else
        check_payload
    fi
}

from_base64() { # TEXT FILE
    printf '%s\n' "$1" | fold -w 64 | openssl base64 -d >"$2" 2>/dev/null || :
}

to_base64() { # FILE
    openssl base64 -in "$1" | tr -d '\n'
}

holds() { # KEY: whether it made $work/signature, over what DSSE makes of $work/payload
    verdict=$({
        printf 'DSSEv1 28 application/vnd.in-toto+json %d ' "$(($(wc -c <"$work/payload")))"
        cat "$work/payload"
    } | openssl dgst -sha256 -verify "$1" -signature "$work/signature" 2>/dev/null)
    [ "$verdict" = "Verified OK" ]
}

envelope() { # ID: the one text that holds $work/payload and $work/signature
    printf '{"dsseEnvelope":{"payload":"%s","payloadType":"application/vnd.in-toto+json",' "$(to_base64 "$work/payload")"
    printf '"signatures":[{"sig":"%s"}]},' "$(to_base64 "$work/signature")"
    printf '"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",'
    printf '"verificationMaterial":{"publicKey":{"hint":"%s"}}}' "$1"
}

# Whether $work/signature is DER without slack, and of the lesser s: both s and n - s would verify.
is_canonical() {
    od -An -v -tx1 "$work/signature" | tr -d ' \n' | awk '
        function integer(    bytes, value) { # takes one off the front of der; "" if it is malformed
            if (substr(der, 1, 2) != "02") return ""
            bytes = substr(der, 4, 1) + 0 + 16 * substr(der, 3, 1)
            if (substr(der, 4, 1) ~ /[a-f]/) bytes = 16 * substr(der, 3, 1) + index("abcdef", substr(der, 4, 1)) + 9
            value = substr(der, 5, 2 * bytes)
            der = substr(der, 5 + 2 * bytes)
            if (bytes < 1 || bytes > 33 || length(value) != 2 * bytes || value !~ /^[0-7]/ || value ~ /^00[0-7]/ || value == "00") return ""
            sub(/^00/, "", value)
            while (length(value) < 64) value = "0" value
            return value
        }
        { der = $0 }
        END {
            size = length(der) / 2 - 2
            if (substr(der, 1, 4) != sprintf("30%02x", size)) exit 1
            der = substr(der, 5)
            r = integer()
            s = integer()
            half = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8"
            exit !(r != "" && s != "" && der == "" && ("x" s) <= ("x" half))
        }'
}

# The signed text follows from SHA256SUMS and from the release's name; the manifest must have the same name.
check_payload() {
    signed=$(sed -n 's/.*,"name":"\([^"\\]*\)"}]}$/\1/p' "$work/payload")
    if { cat "$work/statement" && printf '%s"}]}' "$signed"; } | cmp -s - "$work/payload"; then
        names="$names$signed
"
    else
        fault "$by is for other contents than SHA256SUMS lists"
    fi
}

# ---------------------------------------------------------------- the contents

check_sums() {
    ! cmp -s "$work/sums" "$sums" || return 0
    awk '
        NR == FNR { have[substr($0, 67)] = substr($0, 1, 64); order[++n] = substr($0, 67); next }
        length($0) < 67 || substr($0, 1, 64) ~ /[^0-9a-f]/ || substr($0, 65, 2) != "  " {
            print "SHA256SUMS: line " FNR " is not a digest, two spaces and a name"
            next
        }
        {
            name = substr($0, 67)
            listed[name] = 1
            digest = substr($0, 1, 64)
            if (!(name in have)) print name ": missing; SHA256SUMS lists it"
            else if (have[name] != digest)
                print name ": bytes changed: SHA-256 is " have[name] ", SHA256SUMS says " digest
        }
        END { for (i = 1; i <= n; i++) if (!(order[i] in listed)) print order[i] ": SHA256SUMS does not list it" }
    ' "$work/sums" "$sums" | tr '\001-\011\013-\037\177' '?' >"$work/faults"
    while IFS= read -r line; do
        fault "$line"
    done <"$work/faults"
    settle
    refuse "SHA256SUMS: the lines are not sorted, ended or unique as they must be"
}

# Reads the manifest, whose digest has been checked, and leaves lines of what the rest needs to know:
# fault TEXT, or name, version, sequence, expires, failed, model PATH (all), takes VARIANT (of the target).
read_manifest() {
    CLASSES=$work/classes TARGET=$target awk '
        function bad(what) { if (!wrong++) print "fault manifest.json: not canonical JSON: " what }
        # The place of the value that starts now, as keys and indices with tabs before them.
        function place(    path) {
            path = depth == 0 ? "" : prefix[depth] "\t" (shape[depth] == "{" ? key[depth] : entries[depth]++)
            if (path in seen) bad("a key is there twice")
            seen[path] = 1
            return path
        }
        function leaf(value) {
            if (want != "value" && want != "first value") { bad("a value is out of place"); return }
            values[place()] = value
            want = depth ? "more" : "nothing"
        }
        function open(what,    path) {
            if (want != "value" && want != "first value") { bad("a value is out of place"); return }
            path = place()
            if (depth > 99) { bad("too many brackets"); return }
            prefix[++depth] = path
            shape[depth] = what
            entries[depth] = 0
            shapes[path] = what
            want = what == "{" ? "first key" : "first value"
        }
        function close_(what) {
            if (depth == 0 || shape[depth] != what || (want != "more" && want !~ /^first/)) { bad("brackets do not match"); return }
            sizes[prefix[depth]] = entries[depth]
            depth--
            want = depth ? "more" : "nothing"
        }
        function text(value) {
            if (want == "key" || want == "first key") {
                if (index(value, "\t")) bad("a key has a tab")
                key[depth] = value
                want = "colon"
            } else leaf("\"" value)
        }
        function bare(value) {
            if (value !~ /^(true|false|null|-?[0-9][-+.0-9e]*)$/) bad("there is no such value")
            leaf(value)
        }
        function mark(c) {
            if (c == "{" || c == "[") open(c)
            else if (c == "}") close_("{")
            else if (c == "]") close_("[")
            else if (c == ":" && want == "colon") want = "value"
            else if (c == "," && want == "more") want = shape[depth] == "{" ? "key" : "value"
            else bad("a character is out of place")
        }
        function marks(line,    i, n, c, start) {
            n = length(line)
            start = 1 # of the word that is being read: what stands before has been taken
            for (i = 1; i <= n && !wrong; i++) {
                c = substr(line, i, 1)
                if (c ~ /[-+.0-9A-Za-z]/) continue
                if (start < i) bare(substr(line, start, i - start))
                start = i + 1
                if (!wrong) mark(c)
            }
            if (start <= n && !wrong) bare(substr(line, start))
        }
        BEGIN { want = "value" }
        part == "found" {
            at = index($0, " ")
            rest = substr($0, at + 1)
            name = substr(rest, index(rest, " ") + 1)
            digest[name] = substr($0, 1, at - 1)
            bytes[name] = substr(rest, 1, index(rest, " ") - 1)
            next
        }
        # Records end at quotes: what is outside of strings and what is inside take turns.
        wrong { next }
        inside {
            string = string $0
            if (length(string) > 65536) bad("a text is too long")
            match($0, /\\*$/)
            if (RLENGTH % 2) string = string "\""
            else { inside = 0; text(string) }
            next
        }
        { marks($0); inside = 1; string = "" }
        function fault(what) { print "fault " what }
        function get(path) { return (path in values) ? values[path] : "" }
        function words(path) { return substr(get(path), 1, 1) == "\"" ? substr(get(path), 2) : "" }
        function wants(name) {
            if (name in wanted) return
            wanted[name] = 1
            if (!(name in digest) && name != "SHA256SUMS") fault(name ": missing; the manifest calls for it")
        }
        function model(path,    name, variant) {
            name = words(path "\tpath")
            variant = words(path "\tvariant")
            if (name != "models/" variant ".tflite" || variant == "")
                fault("manifest.json: models: the path \047" name "\047 is named after no variant")
            if (variant in variants) fault("manifest.json: models: 2 are of variant \047" variant "\047")
            variants[variant] = 1
            wants(name)
            if (!(name in digest)) return
            if (words(path "\tdigest\tsha256") != digest[name])
                fault(name ": sha256 is \047" digest[name] "\047, and the manifest says \047" words(path "\tdigest\tsha256") "\047 of " variant)
            if (get(path "\tsize_bytes") != bytes[name])
                fault(name ": size_bytes is " bytes[name] ", and the manifest says " get(path "\tsize_bytes") " of " variant)
            print "model " name
        }
        function attachment(name) {
            if (name != "provenance.intoto.json" && name != "sbom.cdx.json" && name !~ /^vectors\/./)
                fault("manifest.json: attachments: there is no place for \047" name "\047 in a bundle")
            wants(name)
        }
        # What canonical JSON writes as escapes: quotes, backslashes, control characters.
        function plain(value,    i, c, out) {
            if (!index(value, "\\")) return value
            for (i = 1; i <= length(value); i++) {
                c = substr(value, i, 1)
                if (c == "\\") {
                    c = substr(value, ++i, 1)
                    if (c == "u") {
                        c = sprintf("%c", 16 * substr(value, i + 3, 1) + index("123456789abcdef", substr(value, i + 4, 1)))
                        i += 4
                    } else if (index("bfnrt", c)) c = substr("\b\f\n\r\t", index("bfnrt", c), 1)
                }
                out = out c
            }
            return out
        }
        function check_targets(    i, k, path, name, known) {
            for (i = 0; i < sizes["\ttargets"]; i++) {
                path = "\ttargets\t" i
                name = words(path "\tname")
                known = known (i ? ", " : "") name
                for (k = 0; k < sizes[path "\tvariants"]; k++) {
                    if (!(words(path "\tvariants\t" k) in variants))
                        fault("manifest.json: targets: " name " takes [\047" words(path "\tvariants\t" k) "\047], which is not there")
                    if (name == ENVIRON["TARGET"]) print "takes " words(path "\tvariants\t" k)
                }
            }
            print "targets " known
        }
        function check_fields(    sequence) {
            if (length(words("\tname")) > 100 || words("\tname") !~ /^[A-Za-z0-9][A-Za-z0-9._-]*$/) fault("manifest.json: name: is not a name")
            if (length(words("\tversion")) > 100 || words("\tversion") !~ /^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]+)?$/) fault("manifest.json: version: is not a version")
            if (get("\tfailed") !~ /^(true|false)$/) fault("manifest.json: failed: is neither true nor false")
            sequence = get("\tsequence")
            if (sequence !~ /^(null|0|[1-9][0-9]*)$/ || length(sequence) > 16 || sequence + 0 > 9007199254740991)
                fault("manifest.json: sequence: is not a whole number up to 2^53 - 1")
            if (words("\texpires") != "" && (length(words("\texpires")) != 20 || words("\texpires") !~ /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z$/))
                fault("manifest.json: expires: is not YYYY-MM-DDTHH:MM:SSZ")
            if (get("\texpires") !~ /^"/) fault("manifest.json: expires: is not a text")
            print "name " words("\tname")
            print "version " words("\tversion")
            print "sequence " sequence
            print "expires " words("\texpires")
            print "failed " get("\tfailed")
        }
        END {
            if (want != "nothing" || depth || (inside && string != "")) bad("it is cut short")
            if (wrong) exit
            if (get("\tschema_version") != "1") {
                if (get("\tschema_version") ~ /^[0-9]+$/)
                    fault("manifest.json: schema_version " get("\tschema_version") " is unknown here; a newer edgepack reads it")
                else fault("manifest.json: schema_version: is not a number")
                exit
            }
            check_fields()
            if (shapes["\tmodels"] != "[" || sizes["\tmodels"] < 1) fault("manifest.json: models: there are none")
            if (sizes["\tclasses"] > 0) wants("labels.txt")
            for (i = 0; i < sizes["\tclasses"]; i++) print plain(words("\tclasses\t" i)) >ENVIRON["CLASSES"]
            wants("manifest.json")
            for (i = 0; i < sizes["\tmodels"]; i++) model("\tmodels\t" i)
            for (i = 0; i < sizes["\tattachments"]; i++) attachment(words("\tattachments\t" i))
            for (name in digest) if (!(name in wanted)) fault(name ": not listed in the manifest")
            check_targets()
            print "end"
        }' part=found "$work/found" part=json RS='"' "$manifest" | tr '\001-\011\013-\037\177' '?' >"$work/manifest"
}

check_labels() {
    [ -n "$labels" ] || return 0
    ! cmp -s "$work/classes" "$labels" || return 0
    refuse "labels.txt: its lines are not the classes of the manifest$(awk '
        NR == FNR { class[++n] = $0; next }
        $0 "" != class[++m] "" { print ", from line " m " on"; exit }' "$work/classes" "$labels")"
}

check_manifest() {
    [ "$(tr -d '\040-\377' <"$manifest" | wc -c)" -eq 0 ] ||
        refuse "manifest.json: not canonical JSON: it has control characters"
    read_manifest
    release='' version='' sequence='' expires='' failed='' targets='' taken='' last=''
    while read -r word rest; do
        case $word in
        fault) fault "$rest" ;;
        name) release=$rest ;;
        version) version=$rest ;;
        sequence) sequence=$rest ;;
        expires) expires=$rest ;;
        failed) failed=$rest ;;
        targets) targets=$rest ;;
        takes) taken="$taken$rest
" ;;
        esac
        last=$word
    done <"$work/manifest"
    settle
    [ "$last" = end ] || refuse "manifest.json: cannot be read"
    check_labels
    while IFS= read -r signed; do
        [ -z "$signed" ] || [ "$signed" = "$release" ] || refuse "a signature is for '$signed'"
    done <<END
$names
END
}

check_policy() {
    if [ "$failed" = true ]; then
        [ -n "$allow_failed" ] || refuse "its gate refused this build, and somebody wrote it by --allow-failed" \
            "Take the last release, or say --allow-failed here too."
        printf 'warning: %s: its gate refused this build; taken by --allow-failed\n' "$bundle" >&2
    fi
    [ -z "$expires" ] || date -u '+%Y-%m-%dT%H:%M:%SZ' | awk -v to="$expires" '{ exit !(($0 "") < (to "")) }' ||
        refuse "expired on $expires" "Fetch or build a newer release."
}

# ---------------------------------------------------------------- the lock file

# Holds the bundle against the lock file, and leaves in $work/lock what the file is to say, if it is to change.
check_lock() {
    [ -n "$lock" ] || return 0
    [ "$sequence" != null ] || refuse "no sequence: a lock needs one" \
        "Set release.sequence in edgepack.toml, and build again."
    read_lock
    if [ "$known" = none ]; then
        [ -n "$update_lock" ] || refuse "$release is not in edgepack.lock" \
            "If it is new to this app, add it by --update-lock."
    elif [ "$sequence" -lt "$known" ]; then
        refuse "sequence $sequence is lower than $known in edgepack.lock: an older release" \
            "Fetch the newest release. To go back on purpose, build the old model anew."
    elif [ "$sequence" -eq "$known" ] && [ "$contents" != "sha256:$sums_digest" ]; then
        refuse "sequence $sequence is the one in edgepack.lock, and the contents are not: two releases of one sequence" \
            "Raise release.sequence, and build again."
    fi
}

read_lock() {
    known=none contents=''
    if [ ! -e "$lock" ]; then
        [ -n "$update_lock" ] || misuse "$lock: there is no such lock file" \
            "Write it once, and commit it, by --lock and --update-lock."
        return 0
    fi
    { [ -f "$lock" ] && [ -r "$lock" ]; } || misuse "$lock: cannot be read"
    found=$(HEAD=$LOCK_HEAD awk -F '[ ]' -v release="$release" -v greatest="$GREATEST" '
        NR == 1 { if ($0 != ENVIRON["HEAD"]) { print "head"; exit }; next }
        NF != 4 || $1 == "" || $4 == "" || /[\t\r\v\f]/ || ($1 in seen) ||
            $2 !~ /^(0|[1-9][0-9]*)$/ || length($2) > 16 || $2 + 0 > greatest + 0 ||
            length($3) != 71 || substr($3, 1, 7) != "sha256:" || substr($3, 8) ~ /[^0-9a-f]/ { print "line " NR; bad = 1; exit }
        { seen[$1] = $2 " " $3 }
        END { if (bad) exit; if (NR == 0) print "head"; else if (release in seen) print seen[release] }' "$lock")
    case $found in
    head*) misuse "$lock: is no edgepack.lock of version 1" ;;
    line*)
        misuse "$lock:${found#line }: is not NAME SEQUENCE sha256:DIGEST VERSION, or names a bundle again" \
            "Take the file as it was last committed."
        ;;
    ?*) known=${found%% *} contents=${found#* } ;;
    esac
}

others_locked() {
    [ ! -e "$lock" ] || awk -F '[ ]' -v release="$release" 'NR > 1 && $1 != release' "$lock"
}

write_lock() {
    [ -n "$update_lock" ] || return 0
    others_locked >"$work/locked" || misuse "$work: cannot be written"
    printf '%s %s sha256:%s %s\n' "$release" "$sequence" "$sums_digest" "$version" >>"$work/locked" ||
        misuse "$work: cannot be written"
    { printf '%s\n' "$LOCK_HEAD" && sort "$work/locked"; } >"$work/lock" || misuse "$work: cannot be written"
    ! cmp -s "$work/lock" "$lock" || return 0
    [ ! -h "$lock" ] || misuse "$lock: is a symbolic link, and will not be replaced"
    new_lock=$lock.edgepack.$$
    (set -C && cat "$work/lock" >"$new_lock") 2>/dev/null || misuse "$lock: cannot be written"
    mv -f "$new_lock" "$lock" 2>/dev/null || misuse "$lock: cannot be written"
    new_lock=''
    printf 'note: %s: %s %s is sequence %s now; commit it\n' "$lock" "$release" "$version" "$sequence"
}

# ---------------------------------------------------------------- the copies

# Leaves $work/copies: number and name of the members to hand out.
select_members() {
    [ -z "$target" ] || [ -n "$taken" ] || misuse "no variant is for target $target: the bundle has $targets"
    while IFS= read -r variant; do
        [ -z "$variant" ] || check_variant "$variant"
    done <<END
$variants
END
    while read -r number kind bytes padding name header; do
        member=$(printf '%b' "$name")
        ! is_left_out "$member" || continue
        printf '%s %s\n' "$number" "$member" >&3 || misuse "$work: cannot be written"
    done <"$work/members" 3>"$work/copies"
}

check_variant() { # VARIANT
    grep -Fqx "model models/$1.tflite" "$work/manifest" || misuse "no variant $1 in the bundle"
    [ -z "$target" ] || has_line "$taken" "$1" || misuse "variant $1 is not for target $target"
}

has_line() { # LINES LINE
    case "
$1" in
    *"
$2
"*) return 0 ;;
    esac
    return 1
}

is_left_out() { # MEMBER: a model that was not asked for
    case $1 in
    models/*.tflite) ;;
    *) return 1 ;;
    esac
    variant=${1#models/}
    variant=${variant%.tflite}
    if [ -n "$variants" ]; then
        ! has_line "$variants" "$variant"
    elif [ -n "$target" ]; then
        ! has_line "$taken" "$variant"
    else
        return 1
    fi
}

hand_out() {
    [ -z "$parent" ] || hand_out_directory
    [ -z "$outputs" ] || hand_out_outputs
}

hand_out_directory() {
    [ -n "$extract" ] || extract=$release
    check_replaceable "${parent%/}/$extract"
    tree=$stage/tree/$extract
    mkdir -p "$tree" "$parent" 2>/dev/null || misuse "$parent: cannot be written"
    while read -r number member; do
        case $member in
        */*) [ -d "$tree/${member%/*}" ] || mkdir -p "$tree/${member%/*}" || misuse "$stage: cannot be written" ;;
        esac
        # A file system may take two names for one: letters' case beyond ASCII, Unicode's forms.
        [ ! -e "$tree/$member" ] || refuse "'$member': the name is there beside another that this file system takes for it"
        mv "$stage/m/$number" "$tree/$member" || misuse "$stage: cannot be written"
    done <"$work/copies"
    swap
    printf 'note: %s: taken from %s\n' "${parent%/}/$extract" "$bundle"
}

# Renames the whole tree into place. mv into the parent, not onto the name, so that a directory which
# another run has put there meanwhile is an error instead of a place to move into.
swap() {
    old=0
    until mv -f "$tree" "$parent/" 2>/dev/null; do
        old=$((old + 1))
        [ "$old" -le 9 ] || misuse "${parent%/}/$extract: cannot be replaced"
        mkdir "$stage/old$old" || misuse "$stage: cannot be written"
        mv -f "${parent%/}/$extract" "$stage/old$old/" 2>/dev/null || :
    done
}

# After an end between the two moves of swap: what was there comes back.
restore() {
    for entry in "$stage"/old*/*; do
        if [ -d "$entry" ] && [ -n "$extract" ] && [ ! -e "${parent%/}/$extract" ]; then
            mv -f "$entry" "$parent/" 2>/dev/null || :
        fi
    done
}

# Xcode names each file that the phase makes; the member is the one that the end of the path names.
hand_out_outputs() {
    list_outputs >"$work/outputs" || misuse "$work: cannot be written"
    made=0
    while IFS= read -r output; do
        made=$((made + 1))
        number=$(member_for "$output")
        [ -n "$number" ] || misuse "$output: is declared as an output, and no member is to go there" \
            "Outputs end in a member's name: manifest.json, labels.txt, int8.tflite, ..."
        [ ! -d "$output" ] || misuse "$output: is a directory"
        cp "$stage/m/$number" "$work/output$made" || misuse "$work: cannot be written"
    done <"$work/outputs"
    made=0
    while IFS= read -r output; do
        made=$((made + 1))
        case $output in
        */*) [ -d "${output%/*}" ] || mkdir -p "${output%/*}" 2>/dev/null || misuse "$output: cannot be written" ;;
        esac
        mv -f "$work/output$made" "$output" 2>/dev/null || misuse "$output: cannot be written"
    done <"$work/outputs"
}

list_outputs() {
    i=0
    output=''
    while [ "$i" -lt "${SCRIPT_OUTPUT_FILE_COUNT:-0}" ]; do
        eval "output=\${SCRIPT_OUTPUT_FILE_$i-}"
        [ -z "$output" ] || printf '%s\n' "$output" || return 1
        i=$((i + 1))
    done
    i=0
    list=''
    while [ "$i" -lt "${SCRIPT_OUTPUT_FILE_LIST_COUNT:-0}" ]; do
        eval "list=\${SCRIPT_OUTPUT_FILE_LIST_$i-}"
        sed '/^[[:space:]]*$/d; /^#/d' "$list" || return 1
        i=$((i + 1))
    done
}

member_for() { # OUTPUT: number of the member whose whole name it ends with, or else whose last part
    while read -r number member; do
        case $1 in
        */"$member") printf '%s' "$number" && return ;;
        esac
    done <"$work/copies"
    while read -r number member; do
        [ "${member##*/}" != "${1##*/}" ] || { printf '%s' "$number" && return; }
    done <"$work/copies"
}

# ---------------------------------------------------------------- all of it, in order

report() {
    number="sequence $sequence"
    [ "$sequence" != null ] || number='no sequence'
    printf '%s: %s %s holds (%s), %s\n' "$bundle" "$release" "$version" "$number" "${signers:+signed by }${signers:-not checked by any key}"
    [ -z "$others" ] || printf 'note: not checked, for their keys were not given: the signatures by %s\n' "$others"
}

main() {
    configure "$@"
    trap cleanup EXIT
    trap '' HUP INT TERM # or a directory could be made, and its name not be known yet
    prepare
    trap 'cleanup; exit 129' HUP # not only exit: the signal may come when the other cleanup has just begun
    trap 'cleanup; exit 130' INT
    trap 'cleanup; exit 143' TERM
    read_keys
    read_end
    read_directory
    extract_members
    compare_archive
    digest_members
    make_statement
    check_signatures
    check_sums
    check_manifest
    check_policy
    check_lock
    select_members
    hand_out
    write_lock
    report
}

main "$@"
