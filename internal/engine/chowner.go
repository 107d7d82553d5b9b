package engine

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// firstPaths is how many paths of a kind a Chowned names.
const firstPaths = 5

// Owned is a file and whose it is, or was.
type Owned struct {
	Path     string // from the top of the tree: /data/file
	UID, GID uint32
}

// Found counts files of a kind and names the first.
type Found struct {
	Count int
	First []Owned
}

func (f *Found) add(name string, st *unix.Stat_t) {
	f.Count++
	if len(f.First) < firstPaths {
		f.First = append(f.First, Owned{name, st.Uid, st.Gid})
	}
}

// Chowned is what a Chown changes, or would change.
type Chowned struct {
	Seen    int   // everything that was looked at
	Changed Found // hard links count once
	Bytes   int64 // the sizes of the files among them

	Directories, Files, Links, Others int // what the changed ones are; others: fifos, sockets, devices

	SetID        Found // of the changed: they lose their set-id bits
	Capabilities Found // of the changed: they lose their file capabilities
	OthersFiles  Found // of users who are not root, left alone
	Outside      Found // left alone: they have a further name outside of the tree
	Mounts       Found // other file systems, not entered
	Failed       []error
	MoreFailed   int // not in Failed
}

// chowner is the walk that changes owners, or counts what it would change.
type chowner struct {
	Chown

	names  map[inode]uint64 // in the tree, of inodes with several
	seen   map[inode]bool   // of these
	report *Chowned
}

func (w *chowner) trouble(name string, err error) {
	if errors.Is(err, errMounted) {
		w.report.Mounts.add(name, &unix.Stat_t{})
		return
	}
	w.fail(&os.PathError{Op: "look at", Path: name, Err: err})
}

func (w *chowner) fail(err error) {
	if len(w.report.Failed) == firstPaths {
		w.report.MoreFailed++
		return
	}
	w.report.Failed = append(w.report.Failed, err)
}

func (w *chowner) visit(fd int, name string, st *unix.Stat_t) error {
	w.report.Seen++
	if severalNames(st) {
		if w.seen[inodeOf(st)] {
			return nil
		}
		w.seen[inodeOf(st)] = true
	}
	uid, gid := w.wanted(st)
	switch {
	case uid < 0 && gid < 0:
		if st.Uid != 0 && st.Uid != w.UID {
			w.report.OthersFiles.add(name, st)
		}
	case severalNames(st) && w.names[inodeOf(st)] != uint64(st.Nlink): //nolint:unconvert // 32 bits on arm64
		w.report.Outside.add(name, st)
	default:
		w.give(opened{fd, name, st}, uid, gid)
	}
	return nil
}

// opened is a file that is open.
type opened struct {
	fd   int
	name string
	st   *unix.Stat_t
}

// give changes the owner, or counts the file as one whose owner would be changed.
func (w *chowner) give(f opened, uid, gid int) {
	losesID, losesCaps := losesSetID(f.st), hasCapabilities(f.fd, f.st)
	if w.Apply {
		if err := unix.Fchownat(f.fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
			w.fail(&os.PathError{Op: "chown", Path: f.name, Err: err})
			return
		}
	}
	w.count(f.name, f.st)
	if losesID {
		w.report.SetID.add(f.name, f.st)
	}
	if losesCaps {
		w.report.Capabilities.add(f.name, f.st)
	}
}

// wanted are the ids to set, -1 for one that stays.
func (w *chowner) wanted(st *unix.Stat_t) (uid, gid int) {
	uid, gid = -1, -1
	if st.Uid != w.UID && (st.Uid == 0 || w.All) {
		uid = int(w.UID)
	}
	if w.GID >= 0 && int64(st.Gid) != w.GID && (st.Gid == 0 || w.All) && (uid >= 0 || st.Uid == w.UID) {
		gid = int(w.GID)
	}
	return uid, gid
}

func (w *chowner) count(name string, st *unix.Stat_t) {
	r := w.report
	r.Changed.add(name, st)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		r.Directories++
	case unix.S_IFREG:
		r.Files++
		r.Bytes += st.Size
	case unix.S_IFLNK:
		r.Links++
	default:
		r.Others++
	}
}

// losesSetID reports whether chown takes set-id bits of the file away.
func losesSetID(st *unix.Stat_t) bool {
	const groupExec = unix.S_ISGID | unix.S_IXGRP
	return st.Mode&unix.S_IFMT == unix.S_IFREG && (st.Mode&unix.S_ISUID != 0 || st.Mode&groupExec == groupExec)
}

// hasCapabilities reports whether the file open at fd gives capabilities to who executes it.
func hasCapabilities(fd int, st *unix.Stat_t) bool {
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return false
	}
	n, err := unix.Getxattr(fmt.Sprintf("/proc/self/fd/%d", fd), capabilityXattr, nil)
	return err == nil && n > 0
}

// sortedNames lists a directory without moving the place up to which dir was read.
func sortedNames(dir int) ([]string, error) {
	fd, err := beneath(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), ".")
	defer func() { _ = f.Close() }() // only read
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}
