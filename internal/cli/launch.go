package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

// monitorName is argv[0] of the process that watches a detached container: this program executed again,
// in a session of its own. It takes a launch on one pipe and answers on another when the container runs.
const monitorName = "deckhand-monitor"

// The monitor's pipes.
const (
	launchFD = 3
	answerFD = 4
)

// launch says what a monitor is to do: start a new container, one that is there, or a process in a running one.
type launch struct {
	DataRoot string
	Debug    bool
	Start    string              // id of the container to start again; else Record is a new one
	Exec     *engine.ExecOptions // a further process in container Start
	Record   *store.Container
	Config   engine.Config
	Root     rootCheck
}

// checker decides on the container's resolved user. Only once it is accepted is anything made outside of
// the store: a refused container leaves nothing behind.
func (l *launch) checker(note func(string, ...any)) func(oci.User) error {
	check := l.Root.checker(note)
	return func(u oci.User) error {
		if err := check(u); err != nil {
			return err
		}
		return makeSources(l.Config.Spec.Mounts)
	}
}

// answer is what became of it.
type answer struct {
	Notes []string // for stderr
	Error string
	Hints []string
	Code  int // exit code of the error
}

// err is the error that the answer carries, with its exit code and hints.
func (r answer) err() error {
	if r.Error == "" {
		return nil
	}
	err := errors.New(r.Error)
	if len(r.Hints) > 0 {
		err = hint.With(err, r.Hints...)
	}
	return &codeError{code: r.Code, err: err}
}

// answerFor carries err to the other process.
func answerFor(err error, notes []string) answer {
	r := answer{Notes: notes}
	if err == nil {
		return r
	}
	r.Error, r.Code = err.Error(), exitCode(err)
	r.Hints = hint.Of(err)
	return r
}

// runDetached starts the container under a monitor and prints its id.
func (a *app) runDetached(ctx context.Context, l *launch, o *runOptions) error {
	if err := a.spawnMonitor(ctx, l); err != nil {
		return err
	}
	if err := writeCIDFile(o.cidFile, l.Record.ID); err != nil {
		return err
	}
	return a.println(l.Record.ID)
}

// spawnMonitor starts a monitor for l and waits until the container runs or cannot.
func (a *app) spawnMonitor(ctx context.Context, l *launch) error {
	var err error
	if l.DataRoot, err = a.root(); err != nil {
		return err
	}
	l.Debug = a.debug
	request, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode launch: %w", err)
	}
	reply, err := startMonitor(ctx, request)
	if err != nil {
		return fmt.Errorf("start monitor: %w", err)
	}
	var r answer
	if err := json.Unmarshal(reply, &r); err != nil {
		return errors.New("the container's monitor died before the container ran")
	}
	for _, n := range r.Notes {
		a.note("%s", n)
	}
	return r.err()
}

// startMonitor runs the monitor, sends the request and returns its answer.
func startMonitor(ctx context.Context, request []byte) ([]byte, error) {
	requestR, requestW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	answerR, answerW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, requestR.Close(), requestW.Close())
	}
	defer func() { _ = answerR.Close() }() // read only
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/proc/self/exe")
	cmd.Args = []string{monitorName}
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{requestR, answerW}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_, _ = requestR.Close(), answerW.Close() // the monitor has them
	if err != nil {
		return nil, errors.Join(err, requestW.Close())
	}
	_, err = requestW.Write(request)
	if err = errors.Join(err, requestW.Close()); err != nil {
		return nil, err
	}
	return io.ReadAll(answerR)
}

// monitor is the main function of the monitor.
func (a *app) monitor(ctx context.Context) error {
	l, reply, err := receiveLaunch()
	if err != nil {
		return err
	}
	a.dataRoot, a.debug = l.DataRoot, l.Debug
	m := &monitorRun{app: a, launch: l, reply: reply}
	switch {
	case l.Exec != nil:
		err = m.exec(ctx)
	default:
		err = m.container(ctx)
	}
	m.answer(engineError(err)) // does nothing where it has been answered
	return nil
}

func receiveLaunch() (*launch, *os.File, error) {
	in, out := os.NewFile(launchFD, "launch"), os.NewFile(answerFD, "answer")
	syscall.CloseOnExec(launchFD)
	syscall.CloseOnExec(answerFD)
	b, err := io.ReadAll(in)
	if err != nil {
		return nil, nil, fmt.Errorf("read launch: %w", err)
	}
	l := &launch{}
	if err := json.Unmarshal(b, l); err != nil {
		return nil, nil, fmt.Errorf("read launch: %w", err)
	}
	return l, out, in.Close()
}

// monitorRun is one monitor's work.
type monitorRun struct {
	app    *app
	launch *launch
	reply  *os.File // nil once answered
	notes  []string
}

func (m *monitorRun) note(format string, args ...any) {
	m.notes = append(m.notes, fmt.Sprintf(format, args...))
}

// answer tells the command that started this monitor; once.
func (m *monitorRun) answer(err error) {
	if m.reply == nil {
		return
	}
	_ = json.NewEncoder(m.reply).Encode(answerFor(err, m.notes)) // the other end may have been killed
	_ = m.reply.Close()                                          // as above
	m.reply = nil
}

// container starts the container, answers, and watches it to its end.
func (m *monitorRun) container(ctx context.Context) error {
	s, err := m.app.outerStore(ctx)
	if err != nil {
		return err
	}
	e := m.app.engineOn(s)
	c, err := m.open(ctx, e)
	if err != nil {
		return err
	}
	log, err := engine.OpenLog(c.LogPath())
	if err != nil {
		return m.abandon(c, err)
	}
	at, err := m.attach(c, log)
	if err != nil {
		return m.abandon(c, err)
	}
	if m.launch.Start == "" {
		c.Unwritable = unwritableNote(m.note)
	}
	caught := catchSignals(false)
	r, err := c.Start(ctx, at.stdio, m.launch.checker(m.note))
	if err != nil {
		at.abort()
		return m.abandon(c, err)
	}
	caught.forward(r, nil)
	err = at.started(r.Console)
	m.answer(err)
	_, err = c.Wait(ctx, r)
	at.finish()
	return closeLog(log, err)
}

// abandon clears up when the container did not start; one that was there before stays.
func (m *monitorRun) abandon(c *engine.Container, err error) error {
	if m.launch.Start != "" {
		c.Close()
		return err
	}
	return joinQuiet(err, c.Abandon(err))
}

// open makes the container's record, or takes the one that is there.
func (m *monitorRun) open(ctx context.Context, e *engine.Engine) (*engine.Container, error) {
	if m.launch.Start == "" {
		c, err := e.Create(ctx, m.launch.Record, m.launch.Config)
		return c, explainConflict(err, m.launch.Record.Name)
	}
	rec, err := e.Store.Container(m.launch.Start)
	if err != nil {
		return nil, err
	}
	return e.Open(rec)
}

// attach joins the container with nothing but its log. Where stdin is to stay open, it is a pipe that
// nobody writes to.
func (m *monitorRun) attach(c *engine.Container, log *engine.LogWriter) (*attachment, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	quiet := &app{in: null, out: null, err: null}
	at, err := quiet.attachTo(c.Config.Spec.Terminal, false, log)
	if err != nil || !c.Config.OpenStdin || at.tty {
		return at, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		at.abort()
		return nil, err
	}
	at.stdio.In = r
	at.theirs, at.ours = append(at.theirs, r), append(at.ours, w)
	return at, nil
}

// exec starts a further process in a running container and waits for it.
func (m *monitorRun) exec(ctx context.Context) error {
	s, err := m.app.outerStore(ctx)
	if err != nil {
		return err
	}
	rec, err := s.Container(m.launch.Start)
	if err != nil {
		return err
	}
	p, err := m.app.engineOn(s).Exec(ctx, rec, *m.launch.Exec)
	if err != nil {
		return execError(err, rec)
	}
	m.answer(nil)
	if p.Console != nil {
		go func() { _, _ = io.Copy(io.Discard, p.Console) }() // or a full terminal would stop it
	}
	_, err = p.Wait()
	return err
}
