package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/bundle"
	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// ociExecOptions are the flags of exec.
type ociExecOptions struct {
	consoleSocket, pidFile, process, cwd, user string
	apparmor, processLabel, cgroup             string
	env, caps                                  []string
	additionalGids                             []int64
	tty, detach, noNewPrivs, ignorePaused      bool
	preserveFds                                int
}

func (o *ociExecOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.consoleSocket, "console-socket", "", "`socket` that takes the master of the terminal")
	f.StringVar(&o.pidFile, "pid-file", "", "`file` to write the process id to")
	f.StringVarP(&o.process, "process", "p", "", "`file` with the process property of a config.json")
	f.StringVar(&o.cwd, "cwd", "", "working `directory`")
	f.StringVarP(&o.user, "user", "u", "", "`uid[:gid]`")
	f.StringArrayVarP(&o.env, "env", "e", nil, "set a variable, `NAME=value`")
	f.StringArrayVarP(&o.caps, "cap", "c", nil, "add a `capability`")
	f.Int64SliceVarP(&o.additionalGids, "additional-gids", "g", nil, "additional group `ids`")
	f.BoolVarP(&o.tty, "tty", "t", false, "give the command a terminal")
	f.BoolVarP(&o.detach, "detach", "d", false, "return as soon as it runs")
	f.BoolVar(&o.noNewPrivs, "no-new-privs", false, "set no_new_privs")
	f.BoolVar(&o.ignorePaused, "ignore-paused", false, "exec in a paused container too: it waits there")
	f.IntVar(&o.preserveFds, "preserve-fds", 0, "`number` of descriptors, from 3 on, that the command inherits")
	f.StringVar(&o.apparmor, "apparmor", "", "AppArmor `profile`")
	f.StringVar(&o.processLabel, "process-label", "", "SELinux `label`")
	f.StringVar(&o.cgroup, "cgroup", "", "not supported: a group below the container's")
}

func newOciExec(o *ociApp) *cobra.Command {
	var opts ociExecOptions
	cmd := &cobra.Command{
		Use:   "exec [OPTIONS] CONTAINER-ID COMMAND [ARG...]",
		Short: "Run a further command in a container",
		Args: func(cmd *cobra.Command, args []string) error {
			if opts.process == "" && len(args) < 2 && len(args) > 0 {
				return withUsage(cmd, errors.New("exec takes a container ID and a command, or --process"))
			}
			return oneID(cmd, args[:min(len(args), 1)])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.exec(cmd.Context(), &opts, args[0], args[1:])
		},
	}
	opts.addFlags(cmd.Flags())
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (o *ociApp) exec(ctx context.Context, opts *ociExecOptions, id string, args []string) error {
	if opts.cgroup != "" {
		return errors.New("--cgroup is not supported: the command is in the container's own group")
	}
	c, err := o.open(id)
	if err != nil {
		return err
	}
	p, err := opts.processOf(c, args)
	if err != nil {
		return err
	}
	eo := &bundle.ExecOptions{Process: p, ConsoleSocket: opts.consoleSocket, PidFile: opts.pidFile, IgnorePaused: opts.ignorePaused}
	if eo.ExtraFiles, err = inherited(p, opts.preserveFds); err != nil {
		return err
	}
	if opts.detach {
		if err := checkDetached(p, opts.consoleSocket); err != nil {
			return err
		}
		eo.Stdio = runtime.Stdio{In: o.in, Out: o.out, Err: o.err}
		_, err := c.Exec(ctx, eo)
		return err
	}
	exit, err := o.attached(p, opts.consoleSocket, func(s runtime.Stdio) (*runtime.Process, error) {
		eo.Attached, eo.Stdio = true, s
		return c.Exec(ctx, eo)
	})
	if err != nil {
		return err
	}
	return exitWith(exit)
}

// processOf is the process to run: the file's, or the container's own, changed as the flags say.
func (o *ociExecOptions) processOf(c *bundle.Container, args []string) (*specs.Process, error) {
	if o.process != "" {
		raw, err := os.ReadFile(o.process)
		if err != nil {
			return nil, fmt.Errorf("read --process: %w", err)
		}
		p, err := bundle.ParseProcess(raw)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", o.process, err)
		}
		return p, nil
	}
	s, err := c.Spec()
	if err != nil {
		return nil, err
	}
	p := *s.Process
	p.Args, p.Terminal, p.Env = args, o.tty, append(p.Env, o.env...)
	p.NoNewPrivileges = p.NoNewPrivileges || o.noNewPrivs
	if o.cwd != "" {
		p.Cwd = o.cwd
	}
	if o.apparmor != "" {
		p.ApparmorProfile = o.apparmor
	}
	if o.processLabel != "" {
		p.SelinuxLabel = o.processLabel
	}
	if err := o.addUser(&p); err != nil {
		return nil, err
	}
	return &p, addOciCaps(&p, o.caps)
}

func (o *ociExecOptions) addUser(p *specs.Process) error {
	uid, gid, group := strings.Cut(o.user, ":")
	for _, id := range []struct {
		given bool
		value string
		to    *uint32
	}{{o.user != "", uid, &p.User.UID}, {group, gid, &p.User.GID}} {
		if !id.given {
			continue
		}
		n, err := strconv.ParseUint(id.value, 10, 31)
		if err != nil {
			return fmt.Errorf("--user %q: a runtime knows numbers only", o.user)
		}
		*id.to = uint32(n)
	}
	for _, gid := range o.additionalGids {
		if gid < 0 || gid > 1<<31-1 {
			return fmt.Errorf("--additional-gids %d is not a group id", gid)
		}
		p.User.AdditionalGids = append(p.User.AdditionalGids, uint32(gid))
	}
	return nil
}

// addOciCaps adds capabilities to every set, as runc does.
func addOciCaps(p *specs.Process, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if _, err := caps.Mask(names); err != nil {
		return fmt.Errorf("--cap: %w", err)
	}
	sets := specs.LinuxCapabilities{}
	if p.Capabilities != nil {
		sets = *p.Capabilities
	}
	for _, set := range []*[]string{&sets.Bounding, &sets.Effective, &sets.Permitted, &sets.Inheritable, &sets.Ambient} {
		*set = append((*set)[:len(*set):len(*set)], names...)
	}
	p.Capabilities = &sets
	return nil
}
