package cli

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// psOptions are the flags of ps.
type psOptions struct {
	all, quiet, noTrunc, latest bool
	last                        int
	filter                      []string
	format                      string
}

func (o *psOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.all, "all", "a", false, "show stopped containers too")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show ids only")
	f.BoolVar(&o.noTrunc, "no-trunc", false, "show ids and commands in full")
	f.BoolVarP(&o.latest, "latest", "l", false, "show the newest container, whatever its state")
	f.IntVarP(&o.last, "last", "n", -1, "show the newest `n` containers, whatever their state")
	f.StringArrayVarP(&o.filter, "filter", "f", nil, "only where `key=value`: name, id, status, ancestor, label, exited, user")
	f.StringVar(&o.format, "format", "", "`json`, table, or a template of fields: '{{.Names}} {{.Status}}'")
}

func newPs(a *app) *cobra.Command {
	var o psOptions
	cmd := &cobra.Command{
		Use:     "ps [OPTIONS]",
		Aliases: []string{"list"},
		Short:   "List containers",
		Args:    argCount(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ps(cmd.Context(), &o)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (a *app) ps(ctx context.Context, o *psOptions) error {
	match, err := parseFilters(o.filter)
	if err != nil {
		return err
	}
	e, err := a.outerEngine(ctx)
	if err != nil {
		return err
	}
	// What a killed watcher left is cleared first; an ordinary user's files wait for a command that enters
	// his user namespace.
	if os.Geteuid() == 0 {
		if err := e.Sweep(ctx); err != nil {
			a.note("cannot clear what dead processes left: %v", err)
		}
	}
	rows, err := a.psRows(e.Store, o, match)
	if err != nil {
		return err
	}
	l := &listing{
		format: o.format,
		quiet:  o.quiet,
		table:  []string{"ID", "Image", "Command", "RunningFor", "Status", "Ports", "User", "Names"},
		id:     "ID",
		titles: map[string]string{"ID": "CONTAINER ID", "RunningFor": "CREATED"},
	}
	return l.write(a.out, rows)
}

func (a *app) psRows(s *store.Store, o *psOptions, match filters) ([]map[string]string, error) {
	all, err := s.Containers()
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	limit := o.last
	if o.latest {
		limit = 1
	}
	anyState := o.all || limit >= 0 || match.wantsState()
	rows := []map[string]string{}
	for _, c := range all {
		if len(rows) == limit {
			break
		}
		st, err := s.State(c.ID)
		if err != nil || !anyState && st.Status != engine.StatusRunning {
			continue // an error: removed meanwhile
		}
		cfg, err := engine.ConfigOf(c)
		if err != nil {
			return nil, err
		}
		if match.has(c, st, cfg) {
			rows = append(rows, a.psRow(c, st, cfg, o.noTrunc))
		}
	}
	return rows, nil
}

// psRow is one container under docker's names.
func (a *app) psRow(c *store.Container, st store.State, cfg engine.Config, full bool) map[string]string {
	id, command := c.ID, commandText(c.Command)
	if !full {
		id, command = shortID(id), ellipsis(command, 20)
	}
	return map[string]string{
		"ID":         id,
		"Image":      c.Image,
		"Command":    fmt.Sprintf("%q", command),
		"CreatedAt":  c.Created.Local().Format("2006-01-02 15:04:05 -0700 MST"),
		"RunningFor": ui.Ago(c.Created, a.now()),
		"Status":     statusText(st, a.now()),
		"State":      st.Status,
		"Ports":      strings.Join(st.Ports, ", "),
		"User":       userText(st.User),
		"Names":      c.Name,
		"Labels":     labelText(cfg.Labels),
		"Networks":   string(cfg.Network),
	}
}

// commandText is docker's form of a command: arguments with a space are quoted.
func commandText(command []string) string {
	words := make([]string, len(command))
	for i, w := range command {
		if i > 0 && strings.Contains(w, " ") {
			w = "'" + w + "'"
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}

// ellipsis cuts s to n characters as docker does.
func ellipsis(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// statusText is docker's STATUS.
func statusText(st store.State, now time.Time) string {
	switch st.Status {
	case engine.StatusRunning:
		return "Up " + ui.HumanDuration(now.Sub(st.Started))
	case engine.StatusExited:
		if st.Finished.IsZero() {
			return fmt.Sprintf("Exited (%d)", st.ExitCode)
		}
		return fmt.Sprintf("Exited (%d) %s ago", st.ExitCode, ui.HumanDuration(now.Sub(st.Finished)))
	}
	return "Created"
}

// userText marks root, which is what one looks for.
func userText(user string) string {
	if uid, _, _ := strings.Cut(user, ":"); uid == "0" {
		return user + " (root)"
	}
	return user
}
