/* SPDX-License-Identifier: MIT */
/* decode: JSON text to a Lua value, strictly by the grammar of RFC 8259:
 *
 *   value   object | array | string | number | true | false | null       ws  space, \t, \n, \r around every token
 *   number  -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
 *   string  " ( character from U+0020 on, not " or \  |  \["\/bfnrt]  |  \uXXXX )* "
 *
 * Recursive descent over a Lua string, whose final NUL (no token holds one) spares most checks for the end. The items
 * of a table wait on the Lua stack until it ends, or there are PENDING of them, so that it is created in its size. */
#include <lauxlib.h>
#include <math.h>

#include "bind/json/impl.h"

enum {
  PENDING = 64,    /* Lua stack slots that one table may fill before it is created */
  STACK_SPARE = 8, /* slots that one level needs besides */
  MAX_DIGITS = 19, /* that many always fit in 64 bits */
};

struct decoder {
  lua_State *L;
  struct ls_json_box *scratch; /* holds the string being decoded when it has escapes; and keys */
  int keys;                    /* stack index of their strings */
  const char *text;
  const char *p; /* the next byte */
  const char *end;
  const char *error; /* what is wrong at p, once something is */
  int depth;
  int max_depth;
};

static bool decode_value(struct decoder *d);

static bool fail(struct decoder *d, const char *at, const char *error) {
  d->p = at;
  d->error = error;
  return false;
}

static inline bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* Mostly there is none, and one comparison says so. */
static inline void skip_space(struct decoder *d) {
  while ((unsigned char)*d->p <= ' ' && (*d->p == ' ' || *d->p == '\n' || *d->p == '\t' || *d->p == '\r'))
    d->p++;
}

static bool decode_word(struct decoder *d, const char *word, size_t len) {
  if (strncmp(d->p, word, len) != 0) {
    return fail(d, d->p, "expected a value");
  }
  d->p += len;
  return true;
}

/* The value of 4 hex digits at p, -1 when they are not. */
static int read_hex(const char *p) {
  int value = 0;
  for (int i = 0; i < 4; i++) {
    char lower = p[i] | 0x20;
    if (is_digit(p[i])) {
      value = value * 16 + p[i] - '0';
    } else if (lower >= 'a' && lower <= 'f') {
      value = value * 16 + lower - 'a' + 10;
    } else {
      return -1;
    }
  }
  return value;
}

static size_t write_utf8(char *out, int code) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  if (code < 0x800) {
    out[0] = (char)(0xC0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3F));
    return 2;
  }
  if (code < 0x10000) {
    out[0] = (char)(0xE0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3F));
    out[2] = (char)(0x80 | (code & 0x3F));
    return 3;
  }
  out[0] = (char)(0xF0 | code >> 18);
  out[1] = (char)(0x80 | (code >> 12 & 0x3F));
  out[2] = (char)(0x80 | (code >> 6 & 0x3F));
  out[3] = (char)(0x80 | (code & 0x3F));
  return 4;
}

/* \uXXXX at d->p, with its second half when it is the first of a pair. Writes up to 4 bytes. */
static bool decode_unicode(struct decoder *d, char *out, size_t *written) {
  int code = read_hex(d->p + 2), low;
  if (code < 0) {
    return fail(d, d->p, "expected 4 hexadecimal digits after '\\u'");
  }
  if (code >= 0xD800 && code < 0xE000) {
    low = code < 0xDC00 && d->p[6] == '\\' && d->p[7] == 'u' ? read_hex(d->p + 8) : -1;
    if (low < 0xDC00 || low >= 0xE000) {
      return fail(d, d->p, "surrogate without its other half");
    }
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    d->p += 6;
  }
  d->p += 6;
  *written = write_utf8(out, code);
  return true;
}

/* The escape at d->p. */
static bool decode_escape(struct decoder *d) {
  static const char letters[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
  struct ls_json_box *box = d->scratch;
  const char *found;
  size_t n = 1;
  if (d->p[1] == 'u') {
    if (!decode_unicode(d, box->data + box->len, &n)) {
      return false;
    }
  } else {
    found = memchr(letters, d->p[1], sizeof letters - 1);
    if (found == NULL) {
      return fail(d, d->p, "invalid escape");
    }
    box->data[box->len] = plain[found - letters];
    d->p += 2;
  }
  box->len += n;
  return true;
}

/* The first byte from p on that ends the string, starts an escape, or is an error; NULL with d->error set when there
 * is invalid UTF-8 before it. */
static const char *skip_characters(struct decoder *d, const char *p) {
  for (;;) {
    size_t n = 8;
    while (n == 8 && d->end - p >= 8) {
      n = ls_json_plain_run(p);
      p += n;
    }
    while (ls_json_is_plain((unsigned char)*p))
      p++;
    for (; (unsigned char)*p >= 0x80; p += n) {
      n = ls_json_utf8_length(p);
      if (n == 0) {
        fail(d, p, "invalid UTF-8");
        return NULL;
      }
    }
    if (!ls_json_is_plain((unsigned char)*p))
      return p;
  }
}

/* Copies the characters from d->p to run into the scratch buffer, with room for an escape after them. */
static bool copy_run(struct decoder *d, const char *run) {
  size_t n = (size_t)(run - d->p);
  if (!ls_json_box_reserve(d->scratch, n + 4)) {
    return fail(d, d->p, "not enough memory");
  }
  memcpy(d->scratch->data + d->scratch->len, d->p, n);
  d->scratch->len += n;
  d->p = run;
  return true;
}

/* Pushes the string that starts at d->p with its quote, and goes on with so many plain bytes. */
static bool decode_string(struct decoder *d, size_t plain) {
  const char *start = d->p++, *run;
  d->scratch->len = 0;
  for (;; plain = 0) {
    run = skip_characters(d, d->p + plain);
    if (run == NULL) {
      return false;
    }
    if (*run == '"' && d->scratch->len == 0) {
      lua_pushlstring(d->L, d->p, (size_t)(run - d->p));
      break;
    }
    if (!copy_run(d, run)) {
      return false;
    }
    if (*run == '"') {
      lua_pushlstring(d->L, d->scratch->data, d->scratch->len);
      break;
    }
    if (run == d->end) {
      return fail(d, start, "unfinished string");
    }
    if (*run != '\\') {
      return fail(d, run, "control character in a string");
    }
    if (!decode_escape(d)) {
      return false;
    }
  }
  d->p = run + 1;
  return true;
}

/* A number in the making. */
struct number {
  uint64_t digits; /* the first MAX_DIGITS digits */
  int64_t count;   /* how many digits there are, leading zeros apart */
  int exponent;    /* so that the value is digits * 10^exponent, unless there are more than MAX_DIGITS */
};

static const char *read_digits(struct number *number, const char *p) {
  for (; is_digit(*p); p++) {
    if (number->count < MAX_DIGITS) {
      number->digits = number->digits * 10 + (uint64_t)(*p - '0');
    }
    number->count += number->digits != 0;
  }
  return p;
}

static const char *read_exponent(struct number *number, const char *p) {
  bool minus = *p == '-';
  int exponent = 0;
  p += *p == '+' || *p == '-';
  for (; is_digit(*p); p++) {
    exponent = exponent < 100000 ? exponent * 10 + (*p - '0') : exponent;
  }
  number->exponent += minus ? -exponent : exponent;
  return p;
}

/* Pushes the float written from start, which is behind any minus sign, to d->p. */
static bool push_float(struct decoder *d, const char *start, const struct number *number, bool minus) {
  double value;
  if (number->count > MAX_DIGITS || !ls_json_read_decimal(number->digits, number->exponent, &value)) {
    if (!ls_json_read_text(start, (size_t)(d->p - start), &value)) {
      return fail(d, start, "not enough memory");
    }
  }
  if (isinf(value)) {
    return fail(d, start, "number out of range");
  }
  lua_pushnumber(d->L, minus ? -value : value);
  return true;
}

/* Pushes a number without fraction and exponent: an integer where it fits, and is not -0. */
static bool push_whole(struct decoder *d, const char *start, const struct number *number, bool minus) {
  const uint64_t limit = (uint64_t)LUA_MAXINTEGER + (minus ? 1 : 0);
  if (number->count > MAX_DIGITS || number->digits > limit || (minus && number->digits == 0)) {
    return push_float(d, start, number, minus);
  }
  lua_pushinteger(d->L, (lua_Integer)(minus ? 0 - number->digits : number->digits));
  return true;
}

static bool decode_number(struct decoder *d) {
  struct number number = {0};
  bool minus = *d->p == '-', whole = true;
  const char *start = d->p + (minus ? 1 : 0), *p = start;
  if (!is_digit(*p)) {
    return fail(d, p, "expected a digit");
  }
  p = *p == '0' ? p + 1 : read_digits(&number, p);
  if (*p == '.') {
    const char *fraction = ++p;
    p = read_digits(&number, p);
    if (p == fraction) {
      return fail(d, p, "expected a digit after '.'");
    }
    number.exponent = p - fraction < 100000 ? -(int)(p - fraction) : 0;
    number.count += p - fraction < 100000 ? 0 : MAX_DIGITS + 1;
    whole = false;
  }
  if (*p == 'e' || *p == 'E') {
    p++;
    if (!is_digit(*p) && !((*p == '+' || *p == '-') && is_digit(p[1]))) {
      return fail(d, p, "expected a digit in the exponent");
    }
    p = read_exponent(&number, p);
    whole = false;
  }
  d->p = p;
  return whole ? push_whole(d, start, &number, minus) : push_float(d, start, &number, minus);
}

/* Enters an array or object: skips its bracket and reserves a stack slot for the table, which it returns; 0 when that
 * fails. */
static int enter(struct decoder *d) {
  if (d->depth == d->max_depth) {
    fail(d, d->p, lua_pushfstring(d->L, "nesting deeper than %d", d->max_depth));
    return 0;
  }
  if (!lua_checkstack(d->L, PENDING + STACK_SPARE)) {
    fail(d, d->p, "not enough memory");
    return 0;
  }
  d->depth++;
  d->p++;
  skip_space(d);
  lua_pushnil(d->L);
  return lua_gettop(d->L);
}

/* Behind an item: true when another one follows (the comma is skipped) or *closed got set. */
static bool next_item(struct decoder *d, char close, bool *closed, const char *error) {
  skip_space(d);
  if (*d->p == ',') {
    d->p++;
    skip_space(d);
    return true;
  }
  if (*d->p == close) {
    d->p++;
    *closed = true;
    return true;
  }
  return fail(d, d->p, error);
}

/* Creates the array with the n items above slot, and puts it there. */
static void create_array(struct decoder *d, int slot, int n, int room) {
  lua_createtable(d->L, room, 0);
  lua_pushvalue(d->L, lua_upvalueindex(3));
  lua_setmetatable(d->L, -2);
  lua_replace(d->L, slot);
  for (; n > 0; n--)
    lua_rawseti(d->L, slot, n);
}

static bool decode_array(struct decoder *d) {
  int slot = enter(d);
  lua_Integer n = 0;
  bool closed = false;
  if (slot == 0) {
    return false;
  }
  if (*d->p == ']') {
    d->p++;
    closed = true;
  }
  while (!closed) {
    if (!decode_value(d)) {
      return false;
    }
    if (++n > PENDING) {
      lua_rawseti(d->L, slot, n);
    } else if (n == PENDING) {
      create_array(d, slot, PENDING, 2 * PENDING);
    }
    if (!next_item(d, ']', &closed, "expected ',' or ']'")) {
      return false;
    }
  }
  if (n < PENDING) {
    create_array(d, slot, (int)n, (int)n);
  }
  d->depth--;
  return true;
}

/* Moves the n members above slot into the table there, in order: of equal keys the last one wins. */
static void set_members(struct decoder *d, int slot, int n) {
  lua_State *L = d->L;
  for (int at = slot + 1; at < slot + 1 + 2 * n; at += 2) {
    lua_pushvalue(L, at);
    lua_pushvalue(L, at + 1);
    lua_rawset(L, slot);
  }
  lua_settop(L, slot);
}

static void create_object(struct decoder *d, int slot, int n, int room) {
  lua_createtable(d->L, 0, room);
  lua_replace(d->L, slot);
  set_members(d, slot, n);
}

/* How many bytes of the key at name are plain, of those that a known one may have; none near the end of the text. */
static size_t scan_key(const struct decoder *d, const char *name) {
  size_t len = 0, n = 8;
  for (; n == 8 && len + 8 <= LS_JSON_KEY_SIZE && d->end - name - (ptrdiff_t)len >= 8; len += n)
    n = ls_json_plain_run(name + len);
  return len;
}

/* Of what scan_key has found, so that there are 8 bytes to read. Where the first byte is the highest, a short key is hashed
 * with what follows it: it is found more seldom there, and never wrongly. */
static uint64_t hash_key(const char *name, size_t len) {
  uint64_t first, last;
  memcpy(&first, name, 8);
  if (len < 8)
    return ((first << (64 - 8 * len)) + len) * UINT64_C(0x9E3779B97F4A7C15);
  memcpy(&last, name + len - 8, 8);
  return ((first ^ (last << 21 | last >> 43)) + len) * UINT64_C(0x9E3779B97F4A7C15);
}

/* Pushes the key that starts at d->p with its quote. Most have come before, and need not be made again. */
static bool decode_key(struct decoder *d) {
  const char *name = d->p + 1;
  size_t len = scan_key(d, name);
  if (len == 0 || name[len] != '"')
    return decode_string(d, len);
  uint64_t id = hash_key(name, len);
  unsigned place = (unsigned)(id >> 32) % LS_JSON_KEYS;
  struct ls_json_key *key = &d->scratch->keys[place];
  if (key->id == id && key->len == len && memcmp(key->text, name, len) == 0) {
    lua_rawgeti(d->L, d->keys, (lua_Integer)place + 1);
  } else {
    lua_pushlstring(d->L, name, len);
    if (ls_json_key_yields(key, id))
      ls_json_box_learn(d->L, lua_upvalueindex(1), key, id, lua_gettop(d->L), ls_slice(name, len));
  }
  d->p = name + len + 1;
  return true;
}

/* Pushes a key and its value. */
static bool decode_member(struct decoder *d) {
  if (*d->p != '"') {
    return fail(d, d->p, "expected a string as key");
  }
  if (!decode_key(d)) {
    return false;
  }
  skip_space(d);
  if (*d->p != ':') {
    return fail(d, d->p, "expected ':'");
  }
  d->p++;
  skip_space(d);
  return decode_value(d);
}

static bool decode_object(struct decoder *d) {
  int slot = enter(d), n = 0;
  bool closed = false, created = false;
  if (slot == 0) {
    return false;
  }
  if (*d->p == '}') {
    d->p++;
    closed = true;
  }
  while (!closed) {
    if (!decode_member(d)) {
      return false;
    }
    if (created) {
      lua_rawset(d->L, slot);
    } else if (++n == PENDING / 2) {
      create_object(d, slot, n, PENDING);
      created = true;
    }
    if (!next_item(d, '}', &closed, "expected ',' or '}'")) {
      return false;
    }
  }
  if (!created) {
    create_object(d, slot, n, n);
  }
  d->depth--;
  return true;
}

/* Pushes the value that starts at d->p, or fails with anything above it on the stack. */
static bool decode_value(struct decoder *d) {
  switch (*d->p) {
  case '"':
    return decode_string(d, 0);
  case '{':
    return decode_object(d);
  case '[':
    return decode_array(d);
  case 't':
    lua_pushboolean(d->L, 1);
    return decode_word(d, "true", 4);
  case 'f':
    lua_pushboolean(d->L, 0);
    return decode_word(d, "false", 5);
  case 'n':
    lua_pushvalue(d->L, lua_upvalueindex(2));
    return decode_word(d, "null", 4);
  case '-':
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9':
    return decode_number(d);
  default:
    return fail(d, d->p, "expected a value");
  }
}

static bool decode_text(struct decoder *d) {
  if (strncmp(d->text, "\xEF\xBB\xBF", 3) == 0) {
    return fail(d, d->p, "the text starts with a byte order mark");
  }
  skip_space(d);
  if (!decode_value(d)) {
    return false;
  }
  skip_space(d);
  return d->p == d->end || fail(d, d->p, "expected nothing after the value");
}

/* Pushes nil, the message and the code for the error at d->p. Columns count characters, bytes count from 1. */
static int push_error(struct decoder *d) {
  lua_Integer line = 1, column = 1;
  for (const char *p = d->text; p < d->p; p++) {
    if (*p == '\n') {
      line++;
      column = 1;
    } else if (((unsigned char)*p & 0xC0) != 0x80) {
      column++;
    }
  }
  lua_pushnil(d->L);
  lua_pushfstring(d->L, "EJSON: %s%s at line %I, column %I (byte %I)", d->p == d->end ? "unexpected end, " : "",
                  d->error, (LUAI_UACINT)line, (LUAI_UACINT)column, (LUAI_UACINT)(d->p - d->text + 1));
  lua_pushliteral(d->L, "EJSON");
  return 3;
}

int ls_json_decode(lua_State *L, const struct ls_json_options *options) {
  size_t len;
  const char *text = lua_tolstring(L, 1, &len);
  struct decoder d = {.L = L, .text = text, .p = text, .end = text + len, .max_depth = options->max_depth};
  bool decoded;
  d.scratch = lua_touserdata(L, lua_upvalueindex(1));
  ls_json_box_check(L, d.scratch);
  lua_getiuservalue(L, lua_upvalueindex(1), 1);
  d.keys = lua_gettop(L);
  decoded = decode_text(&d);
  if (d.scratch->cap > LS_JSON_KEEP) {
    ls_json_box_release(d.scratch);
  }
  return decoded ? 1 : push_error(&d);
}
