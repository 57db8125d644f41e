/* SPDX-License-Identifier: MIT */
#include "completion.h"

#include <stdio.h>
#include <string.h>

#include "command_line.h"

/* The names of an option with a text between them. */
static void print_names(const struct ls_option *option, const char *between) {
  if (option->letter != '\0')
    printf("-%c%s", option->letter, between);
  printf("--%s", option->name);
}

/* ---- bash ---- */

/* bash splits words at "=" too, so that --globals=open is three of them. */
static const char bash_words[] =
    "# What luaserve takes, for bash: printed by 'luaserve completion bash'.\n"
    "_luaserve() {\n"
    "  local current=${COMP_WORDS[COMP_CWORD]} option= command= words= files= word i IFS=$' \\n'\n"
    "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "    word=${COMP_WORDS[i]}\n"
    "    if [ -n \"$option\" ]; then\n"
    "      [ \"$word\" = '=' ] || option=\n"
    "      continue\n"
    "    fi\n"
    "    case $word in\n"
    "    ";
static const char bash_choices[] =
    ") option=$word ;;\n"
    "    -*) ;;\n"
    "    *) command=$word; break ;;\n"
    "    esac\n"
    "  done\n"
    "  [ \"$current\" = '=' ] && current=\n"
    "  case $option$command in\n";
static const char bash_first[] =
    "  '')\n"
    "    case $current in\n"
    "    -*) words='";
static const char bash_end[] =
    " files='*.lua' ;;\n"
    "    esac ;;\n"
    "  -*) ;;\n"
    "  *) files='*' ;;\n"
    "  esac\n"
    "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
    "  [ -z \"$files\" ] && return\n"
    "  IFS=$'\\n'\n"
    "  COMPREPLY+=($(compgen -d -- \"$current\"))\n"
    "  COMPREPLY+=($(compgen -f -X \"!$files\" -- \"$current\" | while read -r word; do\n"
    "    [ -d \"$word\" ] || printf '%s\\n' \"$word\"\n"
    "  done))\n"
    "}\n"
    "complete -o filenames -F _luaserve luaserve\n";

static void print_bash(void) {
  const char *between = "";
  fputs(bash_words, stdout);
  for (const struct ls_option *option = ls_options; option->name != NULL; option++) {
    if (option->value == NULL)
      continue;
    fputs(between, stdout);
    print_names(option, "|");
    between = "|";
  }
  fputs(bash_choices, stdout);
  for (const struct ls_option *option = ls_options; option->name != NULL; option++)
    if (option->choices != NULL)
      printf("  --%s) words='%s' ;;\n", option->name, option->choices);
  for (const struct ls_command *command = ls_commands; command->name != NULL; command++)
    if (command->choices != NULL)
      printf("  %s) words='%s' ;;\n", command->name, command->choices);
    else
      printf("  %s) files='*.lua' ;;\n", command->name);
  fputs(bash_first, stdout);
  for (const struct ls_option *option = ls_options; option->name != NULL; option++)
    printf("%s--%s", option == ls_options ? "" : " ", option->name);
  fputs("' ;;\n    *) words='", stdout);
  for (const struct ls_command *command = ls_commands; command->name != NULL; command++)
    printf("%s%s", command == ls_commands ? "" : " ", command->name);
  putchar('\'');
  fputs(bash_end, stdout);
}

/* ---- zsh ---- */

static const char zsh_options[] =
    "#compdef luaserve\n"
    "# What luaserve takes, for zsh: printed by 'luaserve completion zsh'.\n"
    "_luaserve() {\n"
    "  local context state state_descr line\n"
    "  local -a commands\n"
    "  typeset -A opt_args\n"
    "  _arguments -S \\\n";
static const char zsh_commands[] =
    "    '1: :->first' '*:: :->rest'\n"
    "  case $state in\n"
    "  first)\n"
    "    commands=(\n";
static const char zsh_choices[] =
    "    )\n"
    "    _describe -t commands command commands\n"
    "    _files -g '*.lua' ;;\n"
    "  rest)\n"
    "    case $words[1] in\n";
static const char zsh_end[] =
    "    *) _files ;;\n"
    "    esac ;;\n"
    "  esac\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _luaserve ]; then _luaserve \"$@\"; else compdef _luaserve luaserve; fi\n";

/* '(-p --port)'{-p+,--port=}'[text]:N: '; where there are several, '*--listen=[text]:PLACE: '. */
static void print_zsh_option(const struct ls_option *option) {
  bool takes = option->value != NULL;
  fputs("    ", stdout);
  if (option->letter != '\0')
    printf("'(-%c --%s)'{-%c%s,--%s%s}'", option->letter, option->name, option->letter, takes ? "+" : "", option->name,
           takes ? "=" : "");
  else
    printf("'%s--%s%s", option->kind == LS_OPTION_PLACE ? "*" : "", option->name, takes ? "=" : "");
  printf("[%s]", option->text);
  if (option->choices != NULL)
    printf(":%s:(%s)", option->name, option->choices);
  else if (takes)
    printf(":%s: ", option->value);
  fputs("' \\\n", stdout);
}

static void print_zsh(void) {
  fputs(zsh_options, stdout);
  for (const struct ls_option *option = ls_options; option->name != NULL; option++)
    print_zsh_option(option);
  fputs(zsh_commands, stdout);
  for (const struct ls_command *command = ls_commands; command->name != NULL; command++)
    printf("      '%s:%s'\n", command->name, command->text);
  fputs(zsh_choices, stdout);
  for (const struct ls_command *command = ls_commands; command->name != NULL; command++)
    if (command->choices != NULL)
      printf("    %s) _values argument %s ;;\n", command->name, command->choices);
    else
      printf("    %s) _files -g '*.lua' ;;\n", command->name);
  fputs(zsh_end, stdout);
}

bool ls_completion_print(const char *shell) {
  if (strcmp(shell, "bash") == 0)
    print_bash();
  else if (strcmp(shell, "zsh") == 0)
    print_zsh();
  else
    return false;
  return true;
}
