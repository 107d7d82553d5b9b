package stage

import "syscall"

// Plan is everything the child must know: the parent derives it from config.json, resolves every
// host path to a file descriptor, and sends it. Paths are absolute, clean and inside the container.
type Plan struct {
	// Set-up of a new container; a Plan for Exec leaves these alone.
	NewUser               bool   // become root in it, now that it has ids
	NewCgroup, NewNetwork bool   // namespaces the child must finish
	HostMounts            bool   // no mount namespace: the root is only this process's
	NoPivot               bool   // cover the host's root instead of leaving it
	NewTime               bool   // a time namespace for the command
	TimeOffsets           string // what /proc/self/timens_offsets takes
	Loopback              bool   // bring lo up
	WaitNetwork           bool   // the parent will say when the network is ready
	ReadonlyRoot          bool
	PropagateBelow        bool   // RootPropagation holds for the mounts below it too
	RootPropagation       uint64 // MS_PRIVATE, MS_SLAVE …
	Hostname, Domainname  string
	Mounts                []Mount
	Devices               []Device
	PopulateDev           bool // device nodes, links: /dev is a tmpfs of ours
	Masked, Readonly      []string
	Sysctl                []Pair // files below /proc/sys
	WaitHooks             bool   // the parent has hooks of its own to run before the root is entered
	CreateHooks           []Hook // createContainer
	CreateState           int    // which descriptor has their standard input
	StartHooks            []Hook // startContainer
	StartState            int
	HookOutput            int // which descriptor takes what hooks print

	// The process; these are all that Exec needs.
	Terminal            bool
	Rows, Columns       uint16
	Init                bool // run the command below a small pid 1
	InitFd              int  // which descriptor is our program, for Init
	Gate                int  // which descriptor listens for the one that lets the command go; 0: nobody has to
	Extra               int  // how many descriptors, the last, the command inherits from 3 on
	UID, GID            uint32
	Groups              []uint32
	SkipSetgroups       bool
	Umask               uint32
	Labels              []Pair // files below /proc/thread-self, and what they take
	Personality         uint32 // PER_* and 1; 0: as it is
	MemoryMode          uint32 // MPOL_* and 1; 0: as it is
	MemoryNodes         []uint64
	Files               Limit           // RLIMIT_NOFILE
	Limits              []ResourceLimit // the others, within what the parent has raised them to
	Caps                Caps
	NoNewPrivileges     bool
	Seccomp             []byte // BPF instructions
	SeccompFlags        uint32
	NotifyFd            int    // which descriptor is the supervisor's socket, and 1; 0: none
	NotifyMessage       []byte // what it is sent with the listener
	Cwd                 string
	CreateCwd           bool
	Args, Env           []string
	SearchPath          string // PATH of Env, looked up by the parent
	KeepSessionKeyring  bool
	ParentDeathUnwanted bool // the command outlives the parent; its set-up does not
}

// Mount is one mount. With Type "" the source is the received descriptor number Fd.
type Mount struct {
	Type        string
	Fd          int
	Source      string // fsconfig "source"
	Target      string
	File        bool // the target is a file, not a directory
	Remount     bool // change the mount that is there
	CopyUp      bool // begin with what the mount point has
	Attrs       uint64
	ClearAttrs  uint64 // for Remount
	Options     []Pair
	Propagation uint64
}

// Hook is a program that the child runs.
type Hook struct {
	Path           string
	Args, Env      []string
	TimeoutSeconds int // 0: none
}

// Pair is a key and its value.
type Pair struct{ Key, Value string }

// Limit is a resource limit.
type Limit struct{ Soft, Hard uint64 }

// ResourceLimit is the limit of a resource (RLIMIT_*).
type ResourceLimit struct {
	Resource int
	Limit
}

// Caps are the five capability sets as bit masks.
type Caps struct{ Bounding, Effective, Permitted, Inheritable, Ambient uint64 }

// Marshal encodes the plan for Unmarshal by the same program.
func (p *Plan) Marshal() []byte {
	c := &codec{buf: make([]byte, 0, 4096+len(p.Seccomp))}
	p.fields(c)
	return c.buf
}

// Unmarshal decodes what Marshal made; EBADMSG where it is damaged.
func (p *Plan) Unmarshal(b []byte) error {
	c := &codec{buf: b, reading: true}
	p.fields(c)
	if c.bad || len(c.buf) != 0 {
		return syscall.EBADMSG
	}
	return nil
}

// fields names each field once, for both directions.
func (p *Plan) fields(c *codec) {
	for _, b := range []*bool{
		&p.NewUser, &p.NewCgroup, &p.NewNetwork, &p.HostMounts, &p.NoPivot, &p.NewTime, &p.WaitHooks, &p.Loopback, &p.WaitNetwork, &p.ReadonlyRoot, &p.PopulateDev, &p.PropagateBelow,
		&p.Terminal, &p.Init, &p.SkipSetgroups, &p.NoNewPrivileges, &p.CreateCwd, &p.KeepSessionKeyring,
		&p.ParentDeathUnwanted,
	} {
		c.bool(b)
	}
	for _, s := range []*string{&p.Hostname, &p.Domainname, &p.TimeOffsets, &p.Cwd, &p.SearchPath} {
		c.string(s)
	}
	for _, l := range []*[]string{&p.Masked, &p.Readonly, &p.Args, &p.Env} {
		list(c, l, (*codec).string)
	}
	list(c, &p.Mounts, (*codec).mount)
	list(c, &p.Sysctl, (*codec).pair)
	list(c, &p.Labels, (*codec).pair)
	list(c, &p.Limits, (*codec).limit)
	list(c, &p.MemoryNodes, number[uint64])
	list(c, &p.Groups, number[uint32])
	list(c, &p.Devices, (*codec).device)
	list(c, &p.CreateHooks, (*codec).hook)
	list(c, &p.StartHooks, (*codec).hook)
	number(c, &p.CreateState)
	number(c, &p.StartState)
	number(c, &p.HookOutput)
	number(c, &p.Files.Soft)
	number(c, &p.Files.Hard)
	number(c, &p.InitFd)
	number(c, &p.Gate)
	number(c, &p.Extra)
	number(c, &p.RootPropagation)
	number(c, &p.Rows)
	number(c, &p.Columns)
	for _, n := range []*uint32{&p.UID, &p.GID, &p.Umask, &p.SeccompFlags, &p.Personality, &p.MemoryMode} {
		number(c, n)
	}
	for _, n := range []*uint64{&p.Caps.Bounding, &p.Caps.Effective, &p.Caps.Permitted, &p.Caps.Inheritable, &p.Caps.Ambient} {
		number(c, n)
	}
	c.bytes(&p.Seccomp)
	c.bytes(&p.NotifyMessage)
	number(c, &p.NotifyFd)
}

func (c *codec) mount(m *Mount) {
	c.string(&m.Type)
	number(c, &m.Fd)
	c.string(&m.Source)
	c.string(&m.Target)
	c.bool(&m.File)
	c.bool(&m.Remount)
	c.bool(&m.CopyUp)
	number(c, &m.ClearAttrs)
	number(c, &m.Attrs)
	list(c, &m.Options, (*codec).pair)
	number(c, &m.Propagation)
}

func (c *codec) hook(h *Hook) {
	c.string(&h.Path)
	list(c, &h.Args, (*codec).string)
	list(c, &h.Env, (*codec).string)
	number(c, &h.TimeoutSeconds)
}

func (c *codec) device(d *Device) {
	c.string(&d.Path)
	number(c, &d.Mode)
	number(c, &d.Rdev)
	number(c, &d.UID)
	number(c, &d.GID)
}

func (c *codec) limit(l *ResourceLimit) {
	number(c, &l.Resource)
	number(c, &l.Soft)
	number(c, &l.Hard)
}

func (c *codec) pair(p *Pair) {
	c.string(&p.Key)
	c.string(&p.Value)
}
