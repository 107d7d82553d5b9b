package build

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// digestFile remembers the content digests of a build context's files, so that an unchanged file is not read
// again. A file is taken as unchanged when device, inode, size, mtime and ctime are the same; a file that
// changed less than racyAge before it was read is not remembered, for a clock tick may hide a later change
// (git's rule for a racy index). The file is a cache: a damaged one is as good as none.
type digestFile struct {
	path  string
	now   time.Time
	mu    sync.Mutex
	old   map[fileID]fileDigestRecord
	fresh map[fileID]fileDigestRecord // used or added by this build
	added bool
}

// racyAge is more than any clock tick or rounding of a filesystem's times (2 s on FAT).
const racyAge = 3 * time.Second

type fileID struct{ dev, ino uint64 }

type fileDigestRecord struct {
	size, mtime, ctime int64 // bytes, nanoseconds
	sum                [sha256.Size]byte
}

// The file: a header, records of fixed size, and the digest of all that.
const (
	digestFileHeader = "deckhand file digests 1\n"
	digestRecordLen  = 5*8 + sha256.Size
)

// openDigestFile reads what is known of the context dir; now is when reading begins.
func openDigestFile(cacheDir, contextDir string, now time.Time) *digestFile {
	sum := sha256.Sum256([]byte(contextDir))
	d := &digestFile{
		path: filepath.Join(cacheDir, "files-"+hex.EncodeToString(sum[:])), now: now,
		old: map[fileID]fileDigestRecord{}, fresh: map[fileID]fileDigestRecord{},
	}
	dt, err := os.ReadFile(d.path)
	if err != nil || len(dt) < len(digestFileHeader)+sha256.Size {
		return d
	}
	body, sumWant := dt[:len(dt)-sha256.Size], dt[len(dt)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sumWant) || !bytes.HasPrefix(body, []byte(digestFileHeader)) {
		return d
	}
	for r := body[len(digestFileHeader):]; len(r) >= digestRecordLen; r = r[digestRecordLen:] {
		u := func(i int) uint64 { return binary.LittleEndian.Uint64(r[8*i:]) }
		d.old[fileID{u(0), u(1)}] = fileDigestRecord{
			size: int64(u(2)), mtime: int64(u(3)), ctime: int64(u(4)), //nolint:gosec // written by save from int64
			sum: [sha256.Size]byte(r[40:digestRecordLen]),
		}
	}
	return d
}

func statRecord(st *syscall.Stat_t) (fileID, fileDigestRecord) {
	return fileID{st.Dev, st.Ino}, fileDigestRecord{size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano()}
}

// get returns the digest of a file that is certainly unchanged.
func (d *digestFile) get(st *syscall.Stat_t) ([sha256.Size]byte, bool) {
	id, want := statRecord(st)
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.fresh[id]
	if !ok {
		r, ok = d.old[id]
	}
	if !ok || r.size != want.size || r.mtime != want.mtime || r.ctime != want.ctime {
		return [sha256.Size]byte{}, false
	}
	d.fresh[id] = r
	return r.sum, true
}

// put remembers a digest of content read after st was taken.
func (d *digestFile) put(st *syscall.Stat_t, sum [sha256.Size]byte) {
	id, r := statRecord(st)
	limit := d.now.Add(-racyAge).UnixNano()
	if r.mtime >= limit || r.ctime >= limit {
		return
	}
	r.sum = sum
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fresh[id], d.added = r, true
}

// encode is the file's content: what this build used, and of the rest as much again.
func (d *digestFile) encode() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := []byte(digestFileHeader)
	add := func(id fileID, r fileDigestRecord) {
		for _, v := range []uint64{id.dev, id.ino, uint64(r.size), uint64(r.mtime), uint64(r.ctime)} { //nolint:gosec // only kept, see openDigestFile
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		b = append(b, r.sum[:]...)
	}
	for id, r := range d.fresh {
		add(id, r)
	}
	spare := len(d.fresh) + 1024
	for id, r := range d.old {
		if _, ok := d.fresh[id]; !ok && spare > 0 {
			add(id, r)
			spare--
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// save writes the file if anything is new; publish renames it into place.
func (d *digestFile) save(publish func(path string, dt []byte) error) error {
	d.mu.Lock()
	added := d.added
	d.added = false
	d.mu.Unlock()
	if !added {
		return nil
	}
	return publish(d.path, d.encode())
}
