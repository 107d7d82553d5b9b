package runtime

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// richSpec has something in nearly every field of config.json.
const richSpec = `{"ociVersion":"1.3.0","root":{"path":"rootfs","readonly":true},"hostname":"h","domainname":"d",
"process":{"terminal":true,"consoleSize":{"height":25,"width":80},"user":{"uid":1,"gid":2,"umask":18,"additionalGids":[5]},
"args":["sh"],"env":["PATH=/bin","A=b"],"cwd":"/x","rlimits":[{"type":"RLIMIT_CORE","soft":1,"hard":2}],"noNewPrivileges":true,
"oomScoreAdj":7,"scheduler":{"policy":"SCHED_FIFO","priority":3,"flags":["SCHED_FLAG_RECLAIM"]},"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":1},
"execCPUAffinity":{"initial":"0-3","final":"7"},"capabilities":{"bounding":["CAP_KILL","X"],"ambient":["CAP_KILL"]}},
"mounts":[{"destination":"/proc","type":"proc","source":"proc"},{"destination":"/dev","type":"tmpfs","options":["mode=755","tmpcopyup","sync"]},
{"destination":"/data","source":"/etc","options":["rbind","ro","rnoexec","rslave"]},
{"destination":"/data","options":["remount","bind","ro"]},{"destination":"/id","type":"bind","source":"/tmp","options":["idmap"]},
{"destination":"/sys/fs/cgroup","type":"cgroup"}],
"hooks":{"createContainer":[{"path":"/bin/true","args":["true"],"env":["A=b"],"timeout":1}],"startContainer":[{"path":"/bin/true"}]},
"linux":{"uidMappings":[{"containerID":0,"hostID":1000,"size":10}],"gidMappings":[{"containerID":0,"hostID":1000,"size":10}],
"namespaces":[{"type":"user"},{"type":"mount"},{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"network"},{"type":"cgroup"},{"type":"time"}],
"timeOffsets":{"boottime":{"secs":1,"nanosecs":2}},"sysctl":{"net.ipv4.ip_forward":"1"},"rootfsPropagation":"rslave",
"devices":[{"path":"/dev/x","type":"c","major":1,"minor":3,"fileMode":438,"uid":1,"gid":1},{"path":"/p","type":"p"}],
"maskedPaths":["/proc/kcore"],"readonlyPaths":["/proc/sys"],"personality":{"domain":"LINUX32"},
"memoryPolicy":{"mode":"MPOL_BIND","nodes":"0-1","flags":["MPOL_F_STATIC_NODES"]},
"seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"listenerPath":"/x","syscalls":[{"names":["execve","read"],"action":"SCMP_ACT_ALLOW"},
{"names":["mount"],"action":"SCMP_ACT_NOTIFY","args":[{"index":1,"value":2,"op":"SCMP_CMP_MASKED_EQ","valueTwo":3}]}]}}}`

// FuzzSpec makes a plan of any config.json there may be: it must not panic, the plan must reach the child
// as it was made, and nothing that was opened for it may be left open.
func FuzzSpec(f *testing.F) {
	f.Add([]byte(richSpec))
	for _, small := range []string{
		`{}`, `{"process":{},"linux":{}}`, `{"process":{"args":["a"]},"linux":{"namespaces":[{"type":"mount","path":"/proc/self/ns/mnt"}]}}`,
		`{"process":{"args":["a"]},"linux":{"sysctl":{"a":"b"}}}`, `{"process":{"args":["a"]},"linux":{"devices":[{"type":"b"}]}}`,
		`{"process":{"args":["a"]},"linux":{},"mounts":[{"destination":"/x","source":"/etc/passwd","options":["bind","idmap"],"uidMappings":[{"size":1}],"gidMappings":[{"size":1}]}]}`,
	} {
		f.Add([]byte(small))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		spec := &specs.Spec{}
		if json.Unmarshal(text, spec) != nil || checkSpec(spec) != nil {
			return
		}
		fuzzPlan(t, spec)
	})
}

func fuzzPlan(t *testing.T, spec *specs.Spec) {
	p := &preparer{spec: spec, ids: &ids{spec.Linux.UIDMappings, spec.Linux.GIDMappings, setgroupsDenied(spec.Linux)}}
	plan, err := (&starting{}).plan(p, &StartOptions{Spec: spec, Warn: func(string) {}})
	files := append([]*os.File{p.nodes}, p.files...)
	if err == nil {
		got := &stage.Plan{}
		if err := got.Unmarshal(plan.Marshal()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plan, got, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	}
	p.close()
	for _, f := range files {
		if f != nil && f.Close() == nil {
			t.Errorf("%s was left open", f.Name())
		}
	}
}

// TestRichSpec: the seed of the fuzz test is a spec that can be planned.
func TestRichSpec(t *testing.T) {
	newBox(t, "guest") // only root may clone mounts
	spec := &specs.Spec{}
	if err := json.Unmarshal([]byte(richSpec), spec); err != nil {
		t.Fatal(err)
	}
	if err := checkSpec(spec); err != nil {
		t.Fatal(err)
	}
	spec.Mounts = spec.Mounts[:4] // an idmapped one needs the container's namespace
	p := &preparer{spec: spec, ids: &ids{uids: spec.Linux.UIDMappings, gids: spec.Linux.GIDMappings}}
	defer p.close()
	plan, err := (&starting{}).plan(p, &StartOptions{Spec: spec, Warn: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Mounts) != 5 || len(plan.Devices) != 1 || plan.MemoryMode == 0 || plan.Personality == 0 || !plan.NewTime {
		t.Errorf("%+v", plan)
	}
}
