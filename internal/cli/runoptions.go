package cli

import (
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/guard/profile"
)

// runOptions are the flags of run, as typed.
type runOptions struct {
	remove, interactive, tty, detach bool
	init, readOnly                   bool
	name, hostname, cidFile          string
	user, workdir, entrypoint        string
	network, pull, stopSignal        string
	stopTimeout                      int
	env, envFile, labels             []string
	publish, volumes, tmpfs          []string
	capAdd, capDrop, security        []string
	groupAdd, sysctls                []string
	profileDir                       string
	limits                           limitOptions
	modes                            modeOptions
	process                          processOptions
	names                            nameOptions
	front                            frontOptions

	profile       *profile.Profile // read from profileDir; nil without
	entrypointSet bool             // --entrypoint was given, perhaps empty
}

// addFlags declares the flags in docker's words.
func (o *runOptions) addFlags(f *pflag.FlagSet) {
	f.Bool("help", false, "show this help")
	f.BoolVarP(&o.detach, "detach", "d", false, "run in the background and print the container's id")
	f.BoolVarP(&o.interactive, "interactive", "i", false, "keep stdin open")
	f.BoolVarP(&o.tty, "tty", "t", false, "give the container a terminal")
	f.BoolVar(&o.remove, "rm", false, "remove the container when it exits")
	f.StringVar(&o.name, "name", "", "the container's `name`")
	f.StringVarP(&o.hostname, "hostname", "h", "", "the container's host `name`")
	f.StringVar(&o.pull, "pull", "missing", "`when` to pull the image: always, missing or never")
	f.StringVar(&o.cidFile, "cidfile", "", "write the container's id to this `file`")
	f.StringArrayVarP(&o.labels, "label", "l", nil, "set a label, `key=value`")

	f.StringVarP(&o.user, "user", "u", "", "`user[:group]`, by name or number")
	f.StringArrayVar(&o.groupAdd, "group-add", nil, "a further `group`; keep-groups: those of deckhand itself")
	f.StringVarP(&o.workdir, "workdir", "w", "", "working `directory`")
	f.StringVar(&o.entrypoint, "entrypoint", "", "`command` instead of the image's ENTRYPOINT")
	f.StringArrayVarP(&o.env, "env", "e", nil, "set a variable, `NAME=value`; NAME alone takes it from here")
	f.StringArrayVar(&o.envFile, "env-file", nil, "read variables from this `file`")
	f.BoolVar(&o.init, "init", false, "run an init that forwards signals and reaps processes")
	f.StringVar(&o.stopSignal, "stop-signal", "", "`signal` that stops the container")
	f.IntVar(&o.stopTimeout, "stop-timeout", 0, "`seconds` until a container being stopped is killed")

	f.StringVar(&o.network, "network", "", "`mode`: none, host, bridge, pasta or container:NAME")
	f.StringVar(&o.network, "net", "", "the same as --network")
	_ = f.MarkHidden("net") // declared just above
	f.StringArrayVarP(&o.publish, "publish", "p", nil, "publish a port, `[IP:][HOST:]CONTAINER[/udp]`")
	f.StringArrayVarP(&o.volumes, "volume", "v", nil, "mount `HOST:CONTAINER[:ro]`, or a volume, NAME:CONTAINER[:ro]")
	f.StringArrayVar(&o.tmpfs, "tmpfs", nil, "mount a tmpfs at `PATH[:options]`")

	o.limits.addFlags(f)

	f.StringVar(&o.profileDir, "profile", "", "give exactly what the profile in this `directory` says, and nothing else")
	f.BoolVar(&o.readOnly, "read-only", false, "make the container's root read-only")
	f.StringArrayVar(&o.capAdd, "cap-add", nil, "grant a `capability`")
	f.StringArrayVar(&o.capDrop, "cap-drop", nil, "take a `capability` away")
	f.StringArrayVar(&o.sysctls, "sysctl", nil, "set a kernel parameter of the container's own, `name=value`")
	f.StringArrayVar(&o.security, "security-opt", nil, "an `option`: no-new-privileges[=bool], seccomp=unconfined|builtin|FILE, seccomp-abi=x86|x32|arm, apparmor=PROFILE, label=KEY:VALUE|disable, systempaths=unconfined, mask=PATH[:PATH...], unmask=ALL|PATH[:PATH...]")
	o.process.addFlags(f)
	o.modes.addFlags(f)
	o.names.addFlags(f)
	o.front.addFlags(f)
	f.BoolVar(&o.front.proxy, "sig-proxy", true, "pass signals on to the process; without, they end only what the shell waits for")
}
