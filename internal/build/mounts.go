package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/solver/pb"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	fscopy "github.com/tonistiigi/fsutil/copy"
	"golang.org/x/sys/unix"
)

// addBind mounts a part of a build context, an image or a stage. What a step writes to it is thrown away.
func (x *execution) addBind(ctx context.Context, m *pb.Mount, in *snapshot) error {
	src, err := x.bindSource(ctx, m, in)
	if err != nil {
		return err
	}
	x.mounts = append(x.mounts, bind(src, m.Dest, m.Readonly))
	return nil
}

// bindSource is a directory or file with exactly what is to be seen, on a filesystem that can be idmapped: an
// overlay cannot. A layer is mounted as it is where it alone has the path; everything else is copied.
func (x *execution) bindSource(ctx context.Context, m *pb.Mount, in *snapshot) (string, error) {
	t, release, err := x.s.stage.view(in)
	if err != nil {
		return "", err
	}
	defer release()
	rel, err := t.present(cmpOr(m.Selector, "/"), true)
	if err != nil {
		return "", err
	}
	if m.Readonly && in.tree == nil {
		if p := onlyLayer(x.s.stage.dirs(in.Layers), rel); p != "" {
			return p, nil
		}
	}
	dir, err := x.s.stage.newDir("bind-")
	if err != nil {
		return "", err
	}
	x.onRelease(func() { _ = os.RemoveAll(dir) }) // goes with the build's directory at the latest
	return copyOut(ctx, t, rel, dir)
}

// onlyLayer is rel's path in the one layer that has it; "" where several have.
func onlyLayer(dirs []string, rel string) string {
	found := ""
	for _, d := range dirs {
		p := filepath.Join(d, rel)
		if _, err := os.Lstat(p); err != nil {
			continue
		}
		if found != "" {
			return ""
		}
		found = p
	}
	return found
}

// copyOut copies rel and what is below it into the empty directory dir and returns where it is.
func copyOut(ctx context.Context, t *tree, rel, dir string) (string, error) {
	fi, err := os.Lstat(t.host(rel))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", rel, errors.Unwrap(err))
	}
	_, hidden, err := t.walk(ctx, rel)
	if err != nil {
		return "", err
	}
	dest := "/"
	if !fi.IsDir() {
		dest = "/" + filepath.Base(rel)
	}
	err = fscopy.Copy(ctx, t.dir, rel, dir, dest, func(ci *fscopy.CopyInfo) {
		ci.CopyDirContents = true
		ci.ExcludePatterns = literalPatterns(hidden)
		ci.Chown = t.owner()
		ci.XAttrErrorHandler = func(_, _, _ string, _ error) error { return nil }
	})
	if err != nil {
		return "", fmt.Errorf("copy %s: %w", rel, err)
	}
	return filepath.Join(dir, dest), chmodLike(filepath.Join(dir, dest), fi, t.local)
}

// chmodLike gives a copied directory the attributes of its source, which fscopy leaves alone for the
// directory it copies into.
func chmodLike(p string, fi os.FileInfo, local bool) error {
	if !fi.IsDir() {
		return nil
	}
	if uid, gid, ok := ownerOf(fi); ok && !local {
		if err := os.Lchown(p, uid, gid); err != nil {
			return fmt.Errorf("set owner: %w", err)
		}
	}
	if err := os.Chmod(p, fi.Mode()); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	return nil
}

// addCaches mounts the cache directories. Their locks are taken in the order of their keys, so that steps with
// several of them never wait for each other in a circle.
func (x *execution) addCaches(ctx context.Context, ms []*pb.Mount, ins []input) error {
	type cacheMount struct {
		m   *pb.Mount
		in  *snapshot
		key string
	}
	var cs []cacheMount
	for _, m := range ms {
		if m.MountType != pb.MountType_CACHE || m.CacheOpt == nil {
			continue
		}
		in := &snapshot{}
		if m.Input >= 0 {
			in = ins[m.Input].snap
		}
		key, err := x.s.cacheMountKey(ctx, m, in)
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.Dest, err)
		}
		cs = append(cs, cacheMount{m, in, key})
	}
	slices.SortStableFunc(cs, func(a, b cacheMount) int { return strings.Compare(a.key, b.key) })
	for _, c := range cs {
		dir, err := x.cacheDir(ctx, c.m, c.in, c.key)
		if err != nil {
			return fmt.Errorf("mount %s: %w", c.m.Dest, err)
		}
		x.mounts = append(x.mounts, bind(dir, c.m.Dest, c.m.Readonly))
	}
	slices.SortStableFunc(x.mounts, func(a, b specs.Mount) int { return strings.Compare(a.Destination, b.Destination) })
	return nil
}

// cacheMountKey names a cache directory: by its id and by what it starts from.
func (s *solver) cacheMountKey(ctx context.Context, m *pb.Mount, in *snapshot) (string, error) {
	from := ""
	if in.tree != nil || len(in.Layers) > 0 {
		var err error
		if from, err = s.contentKey(ctx, in, []selector{{path: cmpOr(m.Selector, "/"), follow: true}}); err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256([]byte(m.CacheOpt.ID + "\x00" + from))
	return hex.EncodeToString(sum[:]), nil
}

// cacheDir returns the directory, locked as its sharing mode asks for until the step has ended: shared by any
// number of steps, locked for one at a time, private for one each.
func (x *execution) cacheDir(ctx context.Context, m *pb.Mount, in *snapshot, key string) (string, error) {
	c := x.s.cache
	if m.CacheOpt.Sharing == pb.CacheSharingOpt_PRIVATE {
		for i := 0; ; i++ {
			name := key + "." + strconv.Itoa(i)
			l, err := c.tryLock("mount-"+name, unix.LOCK_EX)
			if errors.Is(err, errLocked) {
				continue
			}
			if err != nil {
				return "", err
			}
			x.onRelease(l.unlock)
			return x.fillCacheDir(ctx, m, in, name)
		}
	}
	how := unix.LOCK_SH
	if m.CacheOpt.Sharing == pb.CacheSharingOpt_LOCKED {
		how = unix.LOCK_EX
	}
	l, err := c.lock(ctx, "mount-"+key, how, nil)
	if err != nil {
		return "", err
	}
	x.onRelease(l.unlock)
	return x.fillCacheDir(ctx, m, in, key)
}

// fillCacheDir makes the directory with its first content when it is missing; whoever is first wins.
func (x *execution) fillCacheDir(ctx context.Context, m *pb.Mount, in *snapshot, name string) (string, error) {
	dir := filepath.Join(x.s.cache.mounts, name)
	if _, err := os.Lstat(dir); err == nil {
		return dir, nil
	}
	tmp, err := x.s.stage.newDir("cache-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // gone where it was renamed
	if in.tree != nil || len(in.Layers) > 0 {
		t, release, err := x.s.stage.view(in)
		if err != nil {
			return "", err
		}
		defer release()
		rel, err := t.present(cmpOr(m.Selector, "/"), true)
		if err != nil {
			return "", err
		}
		if _, err := copyOut(ctx, t, rel, tmp); err != nil {
			return "", err
		}
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, serr := os.Lstat(dir); serr == nil {
			return dir, nil // another step was first
		}
		return "", fmt.Errorf("make cache mount: %w", err)
	}
	return dir, nil
}
