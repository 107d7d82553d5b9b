package main

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/deckhand-engine/deckhand/guard/profile"
)

const (
	identity = "         0          0 4294967295\n"
	readOnly = "100 99 0:1 / /mnt rw - ext4 /dev/x rw\n101 99 0:2 / / ro,nosuid - overlay overlay rw\n"
)

// locked is the status file of a process without privileges.
func locked(replace ...string) string {
	return strings.NewReplacer(replace...).Replace("Name:\tredis-server\nUid:\t9000\t9000\t9000\t9000\nGid:\t9000\t9000\t9000\t9000\n" +
		"CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n" +
		"CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n")
}

// process adds a process to a proc.
func process(proc fstest.MapFS, pid, namespace, status string) {
	proc[pid+"/status"] = &fstest.MapFile{Data: []byte(status)}
	proc[pid+"/uid_map"] = &fstest.MapFile{Data: []byte(identity)}
	proc[pid+"/gid_map"] = &fstest.MapFile{Data: []byte(identity)}
	proc[pid+"/mountinfo"] = &fstest.MapFile{Data: []byte(readOnly)}
	proc[pid+"/ns/pid"] = &fstest.MapFile{Data: []byte(namespace), Mode: fs.ModeSymlink}
}

func TestAudit(t *testing.T) {
	user := profile.Profile{User: "9000:9000"}
	for name, tt := range map[string]struct {
		profile profile.Profile
		first   string // status of the first process
		second  string // and of another in the container
		root    string // mountinfo
		idMap   string
		want    string // in the error; empty: none
	}{
		"as it should be": {profile: user},
		"root in another process": {
			profile: user, second: locked("Uid:\t9000", "Uid:\t0"), want: "process 8: Uid is 0 9000 9000 9000 instead of 9000",
		},
		"a group of root":        {profile: user, first: locked("Gid:\t9000\t9000", "Gid:\t9000\t0"), want: "Gid is 9000 0"},
		"only a user is named":   {profile: profile.Profile{User: "9000"}, first: locked("Gid:\t9000", "Gid:\t7")},
		"mapped to another id":   {profile: user, first: locked("9000", "109000"), idMap: "0 100000 65536\n"},
		"not mapped":             {profile: user, idMap: "0 100000 65536\n", want: "Uid is ? ? ? ?"},
		"a capability":           {profile: user, first: locked("CapEff:\t0000000000000000", "CapEff:\t0000000000000400"), want: "CapEff has 0x400"},
		"in the bounding set":    {profile: user, first: locked("CapBnd:\t0000000000000000", "CapBnd:\t0000000000000001"), want: "CapBnd has 0x1"},
		"a capability it needs":  {profile: profile.Profile{User: "9000:9000", Capabilities: []string{"CAP_NET_BIND_SERVICE"}}, first: locked("CapEff:\t0000000000000000", "CapEff:\t0000000000000400")},
		"no such capability":     {profile: profile.Profile{User: "9000:9000", Capabilities: []string{"CAP_FLY"}}, want: "CAP_FLY"},
		"new privileges":         {profile: user, first: locked("NoNewPrivs:\t1", "NoNewPrivs:\t0"), want: `NoNewPrivs is "0"`},
		"new privileges, needed": {profile: profile.Profile{User: "9000:9000", Escalates: true}, first: locked("NoNewPrivs:\t1", "NoNewPrivs:\t0")},
		"no filter":              {profile: user, first: locked("Seccomp:\t2", "Seccomp:\t0"), want: `the mode of Seccomp is "0"`},
		"a root to write to":     {profile: user, root: strings.ReplaceAll(readOnly, "/ / ro,", "/ / rw,"), want: `the root is mounted "rw,nosuid"`},
		"a root to write to, needed": {
			profile: profile.Profile{User: "9000:9000", ReadWrite: true}, root: strings.ReplaceAll(readOnly, "/ / ro,", "/ / rw,"),
		},
		"root that becomes others": {profile: profile.Profile{User: "0:0"}, second: locked("Uid:\t9000", "Uid:\t33")},
		"no status at all":         {profile: user, first: "Name:\tx\n", want: "read CapInh"},
	} {
		t.Run(name, func(t *testing.T) {
			proc := fstest.MapFS{}
			process(proc, "7", "pid:[4026532001]", orElse(tt.first, locked()))
			process(proc, "8", "pid:[4026532001]", orElse(tt.second, locked()))
			process(proc, "9", "pid:[4026531836]", locked("Uid:\t9000", "Uid:\t0")) // the machine's
			proc["7/mountinfo"].Data = []byte(orElse(tt.root, readOnly))
			proc["7/uid_map"].Data = []byte(orElse(tt.idMap, identity))
			proc["7/gid_map"].Data = []byte(orElse(tt.idMap, identity))
			err := audit(proc, 7, &tt.profile)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("audit: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("audit: %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAuditGone(t *testing.T) {
	if err := audit(fstest.MapFS{}, 7, &profile.Profile{}); err == nil {
		t.Error("a process that is not there passed")
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func FuzzInside(f *testing.F) {
	f.Add("9000\t9000\t9000\t9000", identity)
	f.Add("109000 0", "0 100000 65536\n70000 1 1\n")
	f.Add("x", "")
	f.Add("1", "1 2")
	f.Fuzz(func(t *testing.T, ids, idMap string) {
		got, err := inside(ids, idMap)
		if err == nil && len(strings.Fields(got)) != len(strings.Fields(ids)) {
			t.Errorf("%q became %q", ids, got)
		}
	})
}
