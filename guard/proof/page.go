package proof

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/repair"
	"github.com/deckhand-engine/deckhand/internal/hint"
)

// page is proof.md.
func (p *Proof) page() ([]byte, error) {
	var b strings.Builder
	b.WriteString("# " + prose(p.title()) + "\n\n" + p.summary() + "\n")
	if p.pictured() {
		fmt.Fprintf(&b, "\n![%d probes are allowed before, %d after](%s)\n", p.Before.Tally().Allowed, p.After.Tally().Allowed, PictureName)
	}
	for _, section := range []struct{ title, text string }{
		{"What it runs with", p.privileges()},
		{"What cannot be taken away", p.irreducible()},
		{"How that was proven", p.method()},
		{"What was changed, and why", p.repairs()},
		{"Refused, and it works all the same", p.survived()},
		{"What an attacker in it can do", p.attacker()},
		{"Trials", p.trials()},
		{"How to use it", p.usage()},
		{"How to repeat it", p.repetition()},
	} {
		if section.text != "" {
			b.WriteString("\n## " + section.title + "\n\n" + section.text)
		}
	}
	return []byte(b.String()), nil
}

func (p *Proof) title() string {
	name := p.Name
	if name == "" {
		name = p.name()
	}
	if len(p.Profile.Irreducible) > 0 {
		return name + " with less privilege"
	}
	return name + " without root"
}

// summary is the result in a sentence or two.
func (p *Proof) summary() string {
	passed := 0
	for _, t := range p.Trials {
		if t.Passed {
			passed++
		}
	}
	text := fmt.Sprintf("%s was tried in %s, of which %d passed; after each change its check had to pass, and pass again after a restart.",
		code(p.Source), counted(len(p.Trials), "run"), passed)
	if !p.Finished.IsZero() {
		text += " Finished " + p.Finished.Format(time.RFC1123) + "."
	}
	return text
}

// privileges is the table of what the profile gives.
func (p *Proof) privileges() string {
	f := &p.Profile
	rows := [][]string{
		{"", ""},
		{"user", code(f.User)},
		{"capabilities", orNone(codes(f.Capabilities))},
		{"root file system", choose(f.ReadWrite, "writable", "read-only")},
		{"no_new_privs", choose(f.Escalates, "not set: set-user-ID programs work", "set")},
		{"system calls", p.calls()},
	}
	var memory, kept []string
	for _, t := range f.Tmpfs {
		memory = append(memory, t.Path)
	}
	for _, v := range f.Volumes {
		kept = append(kept, v.Path)
	}
	rows = append(rows, []string{"writable, in memory", orNone(codes(memory))}, []string{"writable, kept", orNone(codes(kept))})
	sysctls := p.sysctls()
	for _, name := range slices.Sorted(maps.Keys(sysctls)) {
		rows = append(rows, []string{"sysctl", code(name + "=" + sysctls[name])})
	}
	rows = append(rows, []string{"listens on", orNone(codes(f.Ports))})
	return table(rows...)
}

func (p *Proof) calls() string {
	if len(p.Syscalls) == 0 {
		return "those of docker's default filter"
	}
	return fmt.Sprintf("%d allowed, in [%s](%[2]s)", len(p.Syscalls), SeccompName)
}

func orNone(text string) string { return choose(text == "", "none", text) }

func choose(first bool, one, other string) string {
	if first {
		return one
	}
	return other
}

// irreducible says which privileges are left, and why.
func (p *Proof) irreducible() string {
	if len(p.Profile.Irreducible) == 0 {
		return ""
	}
	return "This is the smallest set with which it works. Each was taken away once, and the check failed.\n\n" + bullets(p.Profile.Irreducible)
}

func bullets(texts []string) string {
	var b strings.Builder
	for _, text := range texts {
		b.WriteString("- " + prose(text) + "\n")
	}
	return b.String()
}

// method is what a trial was.
func (p *Proof) method() string {
	steps := []string{
		"start the service, and wait until the check passes" + bracketed(prose(p.CheckFrom)) + ":" + checks(p),
		"exercise it: " + code(p.Exercise),
		"stop it, and start it again with what it keeps: directories in memory are empty again",
		"wait until the check passes once more",
	}
	if p.Exercise == "" {
		steps[1] = "no exercise was given (`--exercise`): what the check does not make it do is not proven"
	}
	var b strings.Builder
	b.WriteString("Each run was:\n\n")
	for i, step := range steps {
		fmt.Fprintf(&b, "%d. %s\n", i+1, step)
	}
	b.WriteString("\n" + "What a run needed was found by watching the system calls of all its processes. " +
		"Then each repair, writable directory, capability and system call was taken away again; what made no difference stayed away.\n")
	return b.String()
}

func bracketed(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// checks are the commands of the check; without one it is what [Proof.CheckFrom] says.
func checks(p *Proof) string {
	var all []string
	if p.Check != "" {
		all = append(all, " in the container "+code(p.Check))
	}
	if p.CheckHost != "" {
		all = append(all, " on the host "+code(p.CheckHost))
	}
	if len(all) == 0 {
		return " it takes connections"
	}
	return strings.Join(all, ", and")
}

// repairs are the changes, with the refusals that each answers.
func (p *Proof) repairs() string {
	if len(p.Repairs) == 0 {
		return "Nothing but the user had to be changed.\n" + p.difference()
	}
	rows := [][]string{{"repair", "why", "what it answers"}}
	for _, r := range p.Repairs {
		var answers []string
		for i := range r.For {
			answers = append(answers, refusal(&r.For[i]))
		}
		rows = append(rows, []string{code(r.String()) + lastResort(r.Kind), prose(r.Why), strings.Join(answers, "<br>")})
	}
	return table(rows...) + p.difference()
}

// difference is what changed in the Dockerfile.
func (p *Proof) difference() string {
	text := "\nThe Dockerfile is [" + DockerfileName + "](" + DockerfileName + ")"
	if p.Original == "" || p.Original == p.Dockerfile {
		return text + ".\n"
	}
	lines := diff.Diff("before", []byte(p.Original), "after", []byte(p.Dockerfile))
	return text + ". What is new in it:\n\n" + fenced("diff", string(lines))
}

// lastResort marks the repairs that change what a service is told, not what it is given.
func lastResort(kind repair.Kind) string {
	if kind == repair.Config {
		return " (a last resort)"
	}
	return ""
}

// refusal is a system call that failed, in a line.
func refusal(c *observe.Call) string {
	who := c.Process.Comm
	if who == "" {
		who = "a process"
	}
	about := c.Path
	for _, other := range []string{c.To, c.Address, c.Socket} {
		if about == "" {
			about = other
		}
	}
	parts := []string{code(who) + ":", code(c.Syscall)}
	if about != "" {
		parts = append(parts, code(about))
	}
	parts = append(parts, errno(c))
	if c.Count > 1 {
		parts = append(parts, fmt.Sprintf("(%d times)", c.Count))
	}
	return strings.Join(parts, " ")
}

// errno is the error's name, and who gave it.
func errno(c *observe.Call) string {
	name := unix.ErrnoName(c.Errno)
	if name == "" {
		name = fmt.Sprintf("error %d", uint(c.Errno))
	}
	if c.Filtered {
		return name + " by the filter"
	}
	return name
}

// survived is what is refused in the end, and matters to nobody.
func (p *Proof) survived() string {
	rows := [][]string{{"who", "system call", "what", "error", "times"}}
	for i := range p.Tolerated {
		c := &p.Tolerated[i]
		about := []string{c.Path, c.To, c.Address, c.Socket, strings.Join(c.Argv, " ")}
		about = slices.DeleteFunc(about, func(text string) bool { return text == "" })
		rows = append(rows, []string{code(c.Process.Comm), code(c.Syscall), codes(about), errno(c), fmt.Sprint(c.Count)})
	}
	text := table(rows...)
	if len(p.Refused) > 0 {
		if text != "" {
			text += "\n"
		}
		text += "System calls that it asks for and does without: " + codes(p.Refused) + ".\n"
	}
	return text
}

// attacker compares the columns of probes.
func (p *Proof) attacker() string {
	if !p.pictured() {
		return ""
	}
	rows := [][]string{{"", "before: " + prose(p.Before.Title), "after: " + prose(p.After.Title), "of"}}
	for _, f := range p.families() {
		rows = append(rows, []string{string(f.family), fmt.Sprint(f.before), fmt.Sprint(f.after), fmt.Sprint(f.all)})
	}
	before, after := p.Before.Tally(), p.After.Tally()
	rows = append(rows, []string{"**all**", fmt.Sprintf("**%d**", before.Allowed), fmt.Sprintf("**%d**", after.Allowed), fmt.Sprint(before.Probes)})
	text := "Each probe is something that somebody who can execute code in the container would try. How many are allowed:\n\n" + table(rows...)
	change := probe.Compare(p.Before, p.After)
	text += probes("No longer allowed:", change.Lost)
	text += probes("Allowed only now:", change.Gained)
	var still []probe.Probe
	for _, one := range probe.Probes() {
		if p.After.Of(one.Name).Verdict == probe.Allowed {
			still = append(still, one)
		}
	}
	return text + probes("Still allowed:", still)
}

// probes is a table of probes.
func probes(title string, all []probe.Probe) string {
	if len(all) == 0 {
		return ""
	}
	rows := [][]string{{"probe", "he could", "severity", "which means"}}
	for _, one := range all {
		rows = append(rows, []string{code(one.Name), prose(one.Title), string(one.Severity), prose(one.Meaning)})
	}
	return "\n" + title + "\n\n" + table(rows...)
}

// trials is the table of all runs.
func (p *Proof) trials() string {
	rows := [][]string{{"", "run", "passed", "refusals", "seconds", "why not"}}
	for i, t := range p.Trials {
		rows = append(rows, []string{
			fmt.Sprint(i + 1), prose(t.Title), choose(t.Passed, "yes", "no"), fmt.Sprint(t.Denials),
			fmt.Sprintf("%.2f", t.Took.Seconds()), prose(t.Reason),
		})
	}
	text := table(rows...)
	var times []string
	for _, name := range slices.Sorted(maps.Keys(p.Times)) {
		times = append(times, fmt.Sprintf("%s %.1f", prose(name), p.Times[name]))
	}
	if len(times) > 0 {
		text += "\nSeconds: " + strings.Join(times, ", ") + ".\n"
	}
	return text
}

// usage says what to do with the files.
func (p *Proof) usage() string {
	rows := [][]string{
		{"file", "what for"},
		{code(DockerfileName), code(p.build()) + ", where DIR is this directory"},
		{code(RunName), "starts it by `deckhand run --profile`, and says the same in docker's flags"},
		{code(ComposeName), "`docker compose -f " + ComposeName + " up`"},
		{code(KubernetesName), choose(len(p.unmet()) == 0, "a Deployment that passes Pod Security restricted", "a Deployment; its head says what of Pod Security restricted it does not meet")},
	}
	if len(p.Syscalls) > 0 {
		rows = append(rows, []string{code(SeccompName), "the filter, for deckhand"},
			[]string{code(RuncName), "the filter for engines that start containers by runc or crun, which need some system calls more for that"})
	}
	rows = append(rows, []string{code(FileName), "all of this for programs"})
	return table(rows...)
}

// repetition is the command that does it again.
func (p *Proof) repetition() string {
	command := p.Command
	if len(command) == 0 {
		command = p.derivedCommand()
	}
	return fenced("sh", hint.Command(command...))
}

// derivedCommand is what must have been typed, about.
func (p *Proof) derivedCommand() []string {
	command := []string{"deckhand", "harden"}
	if strings.Contains(p.CheckFrom, "--check") {
		for _, flag := range [][2]string{{"--check", p.Check}, {"--check-host", p.CheckHost}} {
			if flag[1] != "" {
				command = append(command, flag[0], flag[1])
			}
		}
	}
	if p.Exercise != "" {
		command = append(command, "--exercise", p.Exercise)
	}
	return append(command, p.Source)
}
