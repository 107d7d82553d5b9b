package rules_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

func inherited(u guard.User) guard.User {
	u.Inherited, u.From = true, "base image corp/base:1"
	return u
}

func raw(u guard.User, text string) guard.User {
	u.Raw = text
	return u
}

func with(s *guard.Subject, change func(*guard.Subject)) *guard.Subject {
	change(s)
	return s
}

// TestStart is the family of rules that say what something starts as: one of them at most.
func TestStart(t *testing.T) {
	image := func(u guard.User) *guard.Subject { return subject(guard.KindDockerfile, u) }
	gosu := &guard.Drop{By: "gosu", Spec: "redis", To: guard.Exactly(999), Script: "/entrypoint.sh", Certain: true}
	maybe := &guard.Drop{By: "gosu", Spec: "redis", To: guard.AnyID(), Script: "/entrypoint.sh"}
	toRoot := &guard.Drop{By: "gosu", Spec: "root", To: guard.Exactly(0), Certain: true}
	dropping := func(d *guard.Drop, u guard.User) *guard.Subject {
		return with(image(u), func(s *guard.Subject) { s.Drop = d })
	}
	empty := guard.User{Where: line(1)}
	cases{
		"an unprivileged user": {image(nobody), "", ""},
		"nobody":               {image(empty), "DH001 error", "no stage sets USER, and debian:12 sets none"},
		"nobody on scratch":    {with(image(empty), func(s *guard.Subject) { s.Image, s.Command.Args = "", []string{"/x"} }), "DH001 error", "and scratch has none"},
		"files on scratch":     {with(image(empty), func(s *guard.Subject) { s.Image = "" }), "DH001 info", "nothing is said to start"},
		"a port of scratch":    {with(image(empty), func(s *guard.Subject) { s.Image, s.Ports = "", []guard.Port{{Number: 80}} }), "DH001 error", ""},
		"root on scratch":      {with(image(named("0", 0, 0)), func(s *guard.Subject) { s.Image = "" }), "DH002 error", ""},
		"a group only":         {image(guard.User{Spec: ":audio"}), "DH001 error", "USER :audio, which names a group"},
		"an empty variable":    {image(raw(empty, "$U")), "DH001 error", "USER $U expands to nothing"},
		"nobody, image":        {subject(guard.KindImage, empty), "DH001 error", "the image sets no USER"},
		"nobody, container":    {subject(guard.KindContainer, empty), "DH001 error", "the image sets no USER"},
		"nobody, compose":      {subject(guard.KindCompose, empty), "DH001 error", "the service sets no user:, and debian:12 sets none"},
		"nobody, kubernetes":   {subject(guard.KindKubernetes, empty), "DH001 error", "runAsUser, and debian:12 sets none"},
		"nobody, quadlet":      {subject(guard.KindQuadlet, empty), "DH001 error", "[Container] sets no User="},
		"nobody, unit":         {subject(guard.KindUnit, empty), "DH001 error", "[Service] sets no User="},

		"0":           {image(named("0", 0, 0)), "DH002 error", "USER 0"},
		"00":          {image(named("00", 0, 0)), "DH002 error", "USER 00, and 00 is uid 0"},
		"+0":          {image(named("+0", 0, 0)), "DH002 error", "+0 is uid 0"},
		"-0":          {image(named("-0", 0, 0)), "DH002 error", "-0 is uid 0"},
		"0:0":         {image(named("0:0", 0, 0)), "DH002 error", "USER 0:0"},
		"0:1000":      {image(named("0:1000", 0, 1000)), "DH002 error", ""},
		"inherited 0": {image(inherited(named("0", 0, 0))), "DH002 error", "base image corp/base:1 sets USER 0"},
		"variable":    {image(raw(named("0", 0, 0), "${U:-0}")), "DH002 error", "USER ${U:-0}, which is 0"},
		"runAsUser":   {subject(guard.KindKubernetes, named("0", 0, 0)), "DH002 error", "runAsUser: 0"},
		"user:":       {subject(guard.KindCompose, named("0", 0, 0)), "DH002 error", "user: 0"},
		"User=":       {subject(guard.KindQuadlet, named("0", 0, 0)), "DH002 error", "User=0"},
		"runAsGroup":  {subject(guard.KindKubernetes, named("0:0", 0, 0)), "DH002 error", "runAsUser: 0, runAsGroup: 0"},
		"Group=":      {subject(guard.KindQuadlet, named("0:5", 0, 5)), "DH002 error", "User=0, Group=5"},

		"root":                  {image(named("root", 0, 0)), "DH003 error", "USER root"},
		"root:root":             {image(named("root:root", 0, 0)), "DH003 error", ""},
		"root, image unknown":   {image(unknown("root", "no")), "DH003 error", ""},
		"toor":                  {image(named("toor", 0, 0)), "DH004 error", "the passwd file gives toor uid 0"},
		"toor, inherited":       {image(inherited(named("toor", 0, 0))), "DH004 error", "corp/base:1 sets USER toor"},
		"nothing creates it":    {image(guard.User{Spec: "app", Missing: "unable to find user app: no matching entries in passwd file"}), "DH008 error", "unable to find user app"},
		"out of range":          {image(guard.User{Spec: "-5", Missing: "uids and gids must be in range 0-2147483647"}), "DH008 error", ""},
		"drops":                 {dropping(gosu, empty), "DH009 warning", "gosu in /entrypoint.sh becomes redis"},
		"root by name drops":    {dropping(gosu, named("root", 0, 0)), "DH009 warning", ""},
		"drops perhaps":         {dropping(maybe, empty), "DH001 error", "not on every way"},
		"drops to root":         {dropping(toRoot, empty), "DH001 error", ""},
		"drops, but need not":   {dropping(gosu, nobody), "", ""},
		"base unknown":          {image(unknown("", "base image x is not known: offline")), "DH026 warning", "offline"},
		"base unknown, drops":   {dropping(gosu, unknown("", "offline")), "DH026 warning", "gosu in"},
		"name on unknown base":  {image(unknown("app", "offline")), "DH026 info", "starts as: USER app, and offline"},
		"variable unset":        {image(raw(unknown("$U", "U is not set"), "$U")), "DH026 warning", "U is not set"},
		"chosen by useradd":     {image(guard.User{Spec: "2000", UID: guard.ID{Least: 1000, Most: 60000}, GID: guard.ID{Least: 1000, Most: 60000}}), "", ""},
		"named and not root":    {image(guard.User{Spec: "app", Name: "app", UID: guard.ID{Least: 1000, Most: 60000}, GID: guard.AnyID()}), "DH007 info", "a name, which"},
		"named, in a service":   {subject(guard.KindCompose, named("app", 1000, 1000)), "", ""},
		"named, in a manifest":  {subject(guard.KindKubernetes, inherited(named("app", 1000, 1000))), "", ""},
		"named, image":          {subject(guard.KindImage, named("app", 1000, 1000)), "DH007 info", "USER app"},
		"reserved":              {image(named("101", 101, 101)), "DH006 warning", "below 500"},
		"reserved with a name":  {image(guard.User{Spec: "101", Name: "nginx", UID: guard.Exactly(101), GID: guard.Exactly(101)}), "DH006 warning", "uid 101 (nginx)"},
		"reserved and named":    {image(named("www-data", 33, 33)), "DH006 warning, DH007 info", "uid 33, below 500 and so reserved for the system: USER www-data"},
		"reserved range":        {subject(guard.KindCompose, guard.User{Spec: "app", UID: guard.ID{Least: 100, Most: 499}, GID: guard.AnyID()}), "DH006 warning", "100 to 499"},
		"perhaps reserved":      {subject(guard.KindCompose, guard.User{Spec: "app", UID: guard.ID{Least: 100, Most: 999}, GID: guard.AnyID()}), "", ""},
		"a system's service":    {subject(guard.KindUnit, named("postgres", 101, 101)), "", ""},
		"group 0":               {image(guard.User{Spec: "1000:0", UID: guard.Exactly(1000), GroupSet: true}), "DH005 warning", "gid 0"},
		"group root, uid open":  {image(guard.User{Spec: "app:root", UID: guard.AnyID(), GroupSet: true, Unknown: "offline"}), "DH005 warning, DH026 info", ""},
		"group 0 by no entry":   {image(guard.User{Spec: "1000", UID: guard.Exactly(1000), NoEntry: true}), "DH005 info", "USER 1000, which has no passwd entry"},
		"group 0 by its entry":  {image(guard.User{Spec: "1000", UID: guard.Exactly(1000), Name: "app"}), "DH005 warning", "whose passwd entry"},
		"group not known":       {image(guard.User{Spec: "1000", UID: guard.Exactly(1000), GID: guard.AnyID()}), "", ""},
		"root's group and root": {image(guard.User{Spec: "0:0", GroupSet: true}), "DH002 error", ""},
	}.run(t)
}

// TestWillNotStart is what Kubernetes does to users that it verifies.
func TestWillNotStart(t *testing.T) {
	pod := func(u guard.User) *guard.Subject {
		return with(subject(guard.KindKubernetes, u), func(s *guard.Subject) {
			s.RunAsNonRoot = &guard.Grant{Value: "true", Where: line(5)}
			s.Drop = &guard.Drop{By: "gosu", Spec: "redis", To: guard.Exactly(999), Certain: true}
		})
	}
	cases{
		"a number":         {pod(inherited(nobody)), "", ""},
		"nobody":           {pod(guard.User{Where: line(3)}), "DH027 error", "it would be root, since neither"},
		"0":                {pod(named("0", 0, 0)), "DH027 error", "runAsUser: 0, which is root"},
		"a name":           {pod(inherited(named("app", 1000, 1000))), "DH027 error", "write 1000"},
		"a name of root":   {pod(inherited(named("root", 0, 0))), "DH027 error", "a name, which"},
		"a name, unknown":  {pod(inherited(unknown("app", "offline"))), "DH027 error", "a name, which"},
		"image unknown":    {pod(unknown("", "offline")), "", ""},
		"name not created": {pod(inherited(guard.User{Spec: "app", Missing: "unable to find user app"})), "DH008 error", ""},
	}.runWithSlot(t)
}

func (c cases) runWithSlot(t *testing.T) {
	for _, tt := range c {
		tt.subject.UserSlot = &guard.Slot{At: line(9)}
	}
	c.run(t)
}

func TestLeastUID(t *testing.T) {
	s := subject(guard.KindDockerfile, nobody)
	for least, want := range map[uint32]int{0: 0, 1000: 0, 1001: 1, 10000: 1} {
		if found := rules.Check(s, guard.Settings{LeastUID: least}); len(found) != want || want == 1 && found[0].Rule != "DH006" {
			t.Errorf("least uid %d: %v", least, found)
		}
	}
}

func TestFixes(t *testing.T) {
	argument := guard.Location{Path: "f", Line: 2, Column: 6, EndLine: 2, EndColumn: 9}
	before := guard.Location{Path: "f", Line: 3, Column: 1, EndLine: 3, EndColumn: 1}
	replace, insert := &guard.Slot{At: argument}, &guard.Slot{At: before, Before: "USER ", After: "\n"}
	app := named("app", 1000, 1000)
	tests := map[string]struct {
		user      guard.User
		slot      *guard.Slot
		variables []guard.Variable
		kind      guard.Kind
		text      string
		safe      bool
	}{
		"no user":                 {user: guard.User{}, slot: insert, text: "USER 9000:9000\n"},
		"root":                    {user: named("root", 0, 0), slot: replace, text: "9000:9000"},
		"missing":                 {user: guard.User{Spec: "app", Missing: "unable to find user app"}, slot: replace, text: "9000:9000"},
		"a name":                  {user: app, slot: replace, text: "1000", safe: true},
		"a name, inherited":       {user: inherited(app), slot: insert, text: "USER 1000\n", safe: true},
		"a name with a group":     {user: named("app:audio", 1000, 29), slot: replace, text: "1000:audio", safe: true},
		"a name by variable":      {user: raw(app, "$U"), slot: replace, text: "1000"},
		"a uid by build argument": {user: app, slot: replace, variables: []guard.Variable{{Name: "UID", Value: "1000", Arg: true}}, text: "1000"},
		"a name behind another's": {user: guard.User{Spec: "app", Name: "app", Alias: "node", UID: guard.Exactly(1000), GID: guard.Exactly(1000)}, slot: replace, text: "1000"},
		"group 0":                 {user: guard.User{Spec: "1000:0", UID: guard.Exactly(1000), GroupSet: true}, slot: replace, text: "1000:1000"},
		"group 0 by no entry":     {user: guard.User{Spec: "9000", UID: guard.Exactly(9000), NoEntry: true}, slot: replace, text: "9000:9000"},
		"user unknown":            {user: unknown("", "offline"), slot: insert, text: "USER 9000:9000\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := subject(guard.KindDockerfile, tt.user)
			s.UserSlot, s.Variables = tt.slot, tt.variables
			found := rules.Check(s, guard.Settings{})
			if len(found) != 1 || len(found[0].Fixes) != 1 {
				t.Fatalf("found %v", texts(found))
			}
			want := guard.Fix{Title: found[0].Fixes[0].Title, Safe: tt.safe, Edits: []guard.Edit{{At: tt.slot.At, Text: tt.text}}}
			if diff := cmp.Diff(want, found[0].Fixes[0]); diff != "" {
				t.Errorf("fix (-want +got):\n%s", diff)
			}
			s.UserSlot = nil
			if found := rules.Check(s, guard.Settings{}); len(found) != 1 || found[0].Fixes != nil {
				t.Errorf("without a place: %v", texts(found))
			}
		})
	}
}

// TestFixTitleSaysWhere: a new line behind another is the next one.
func TestFixTitleSaysWhere(t *testing.T) {
	tests := map[string]struct {
		slot guard.Slot
		want string
	}{
		"before a line": {guard.Slot{At: guard.Location{Line: 3, Column: 1, EndLine: 3, EndColumn: 1}, Before: "USER ", After: "\n"}, "add USER 9000:9000 at line 3"},
		"behind a line": {guard.Slot{At: guard.Location{Line: 3, Column: 9, EndLine: 3, EndColumn: 9}, Before: "\nUSER "}, "add USER 9000:9000 at line 4"},
		"in place":      {guard.Slot{At: guard.Location{Line: 3, Column: 6, EndLine: 3, EndColumn: 7}}, "write 9000:9000 instead"},
	}
	for name, tt := range tests {
		s := subject(guard.KindDockerfile, guard.User{Where: line(1)})
		s.UserSlot = &tt.slot
		found := rules.Check(s, guard.Settings{})
		if len(found) != 1 || len(found[0].Fixes) != 1 || found[0].Fixes[0].Title != tt.want {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
