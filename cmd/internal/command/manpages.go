package command

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"datablock"
)

// generate serves the build: man pages and completion come from the same definitions as the
// commands.
func (a *app) generate() *cobra.Command {
	version := ""
	cmd := &cobra.Command{
		Use: "generate DIR", Short: "Write man pages to DIR/man1 and shell completion to DIR/completions", Hidden: true,
		Long: "Writes a man page of every command to DIR/man1 and the scripts for bash, zsh and fish to " +
			"DIR/completions. The same program writes the same bytes.",
		Example: "  datablock-admin generate build/generated --release 1.0.0",
		Args:    exactly("DIR"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			written, err := generate(cmd.Root(), args[0], version)
			if err != nil {
				return &datablock.Error{Code: datablock.ErrSystem, Detail: err.Error()}
			}
			if a.json {
				err = a.printJSON(written)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&version, "release", "", "the version to name in the man pages")
	completeFlag(cmd, "release", cobra.NoFileCompletions)
	return cmd
}

func generate(root *cobra.Command, dir, version string) (written []string, err error) {
	files := map[string][]byte{}
	if err := manPages(root, strings.TrimSpace("DataBlock "+version), files); err != nil {
		return nil, err
	}
	for _, s := range shells {
		var script bytes.Buffer
		if err := s.generate(root, &script); err != nil {
			return nil, err
		}
		files[filepath.Join("completions", s.file)] = script.Bytes()
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, text, 0o666); err != nil {
			return nil, err
		}
		written = append(written, path)
	}
	sort.Strings(written)
	return written, nil
}

func manPages(cmd *cobra.Command, source string, files map[string][]byte) error {
	if !cmd.IsAvailableCommand() {
		return nil
	}
	page, err := manPage(cmd, source)
	if err != nil {
		return err
	}
	files[filepath.Join("man1", strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")] = page
	for _, c := range cmd.Commands() {
		if err := manPages(c, source, files); err != nil {
			return err
		}
	}
	return nil
}

var (
	manTitle  = regexp.MustCompile(`(?m)^\.TH .*$`)
	manOption = regexp.MustCompile(`(?m)^(?:\.PP\n)?(\\fB-.*\\fP)(?:=""|\[=false\])?(.*)\n\t(.*)$`)
	manBlank  = regexp.MustCompile(`\n{2,}`)
)

// manPage returns a command's page as the command library makes it, with options as a list, the
// exit codes in a separate section, and no date.
func manPage(cmd *cobra.Command, source string) ([]byte, error) {
	long := cmd.Long
	defer func() { cmd.Long = long }()
	cmd.Long = strings.TrimSuffix(long, exitHelp())
	cmd.DisableAutoGenTag = true
	var page bytes.Buffer
	if err := doc.GenMan(cmd, &doc.GenManHeader{}, &page); err != nil {
		return nil, err
	}
	name := strings.ToUpper(strings.ReplaceAll(cmd.CommandPath(), " ", "-"))
	text := manTitle.ReplaceAllString(page.String(), fmt.Sprintf(".TH %q 1 \"\" %q \"DataBlock\"", name, source))
	text = manOption.ReplaceAllString(text, ".TP\n$1$2\n$3")
	status := ".SH EXIT STATUS\n"
	for code, meaning := range exitMeanings {
		status += fmt.Sprintf(".TP\n%d\n%s\n", code, meaning)
	}
	text = strings.Replace(text, ".SH EXAMPLE\n", status+".SH EXAMPLE\n", 1)
	return []byte(manBlank.ReplaceAllString(text, "\n")), nil
}
