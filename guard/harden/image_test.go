package harden_test

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// node is a file of a simulated image or container.
type node struct {
	mode                fs.FileMode // with its type
	uid, gid            uint32
	content, link, caps string
}

// rootfs is a tree of files by their absolute paths.
type rootfs map[string]*node

// lay makes a tree of lines "0755 0:0 /dir/", "0640 0:0 /file = content", "/link -> target" and
// "0755 0:0 /program + cap_net_raw". Directories above that no line names belong to root.
func lay(lines ...string) rootfs {
	r := rootfs{"/": {mode: fs.ModeDir | 0o755}}
	for _, text := range lines {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				r.put(line)
			}
		}
	}
	return r
}

func (r rootfs) put(line string) {
	if name, target, ok := strings.Cut(line, " -> "); ok {
		r.add(name, &node{mode: fs.ModeSymlink | 0o777, link: target})
		return
	}
	fields := strings.SplitN(line, " ", 4)
	perm, err := strconv.ParseUint(fields[0], 8, 32)
	if err != nil {
		panic(line)
	}
	n := &node{mode: fs.FileMode(perm & 0o777)}
	if perm&0o1000 != 0 {
		n.mode |= fs.ModeSticky
	}
	if _, err := fmt.Sscanf(fields[1], "%d:%d", &n.uid, &n.gid); err != nil {
		panic(line)
	}
	if len(fields) == 4 {
		if content, ok := strings.CutPrefix(fields[3], "= "); ok {
			n.content = strings.ReplaceAll(content, `\n`, "\n") + "\n"
		}
		n.caps, _ = strings.CutPrefix(fields[3], "+ ")
		if n.content != "" {
			n.caps = ""
		}
	}
	if strings.HasSuffix(fields[2], "/") {
		n.mode |= fs.ModeDir
	}
	r.add(path.Clean(fields[2]), n)
}

// add puts a file into its place, and makes the directories above.
func (r rootfs) add(name string, n *node) {
	r.mkdirAll(path.Dir(name))
	r[name] = n
}

func (r rootfs) mkdirAll(dir string) {
	for ; r[dir] == nil; dir = path.Dir(dir) {
		r[dir] = &node{mode: fs.ModeDir | 0o755}
	}
}

// below is a copy of a directory and all below it.
func (r rootfs) below(dir string) rootfs {
	out := rootfs{}
	for name, n := range r {
		if within(name, dir) {
			c := *n
			out[name] = &c
		}
	}
	return out
}

func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

// Read is that of guard.Files.
func (r rootfs) Read(_ context.Context, names ...string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, name := range names {
		if n := r[name]; n != nil && n.mode.IsRegular() {
			out[name] = []byte(n.content)
		}
	}
	return out, nil
}

// Walk is that of guard.Files.
func (r rootfs) Walk(_ context.Context, visit func(guard.File) error) error {
	for _, name := range slices.Sorted(maps.Keys(r)) {
		n := r[name]
		if name == "/" {
			continue
		}
		f := guard.File{Path: name, Mode: n.mode, UID: n.uid, GID: n.gid, Size: int64(len(n.content)), Capabilities: n.caps, Link: n.link}
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

var _ guard.Files = rootfs{}

// debian are the files that most images have.
const debian = `
	0755 0:0 /bin/sh
	0755 0:0 /usr/bin/
	0755 0:0 /usr/sbin/
	0755 0:0 /usr/lib/
	0755 0:0 /usr/share/
	0755 0:0 /home/
	0755 0:0 /opt/
	0755 0:0 /srv/
	0700 0:0 /root/
	0755 0:0 /run/
	0755 0:0 /run/lock/
	1777 0:0 /tmp/
	1777 0:0 /var/tmp/
	0755 0:0 /var/lib/
	0755 0:0 /var/log/
	0755 0:0 /var/cache/
	0755 0:0 /var/spool/
	/var/run -> /run
	/var/lock -> /run/lock
	0644 0:0 /etc/passwd = root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
	0644 0:0 /etc/group = root:x:0:\nwww-data:x:33:
	0640 0:42 /etc/shadow = root:*:
`
