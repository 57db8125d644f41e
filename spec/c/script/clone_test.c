/* SPDX-License-Identifier: MIT */
/* clone_test: every kind of value arrives in another state as it was, what cannot be copied is named by its path, and
 * neither a damaged message nor a lack of memory does harm. */
#include "script/clone.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>

#include "check.h"
#include "script/marks.h"

static lua_State *new_state(void) {
  lua_State *L = luaL_newstate();
  CHECK(L != NULL);
  luaL_openlibs(L);
  ls_marks_push_null(L);
  lua_setglobal(L, "null");
  ls_marks_push_metatable(L, LS_MARK_ARRAY);
  lua_setglobal(L, "array_mt");
  ls_marks_push_metatable(L, LS_MARK_OBJECT);
  lua_setglobal(L, "object_mt");
  lua_pushlightuserdata(L, NULL);
  lua_setglobal(L, "light_null");
  lua_pushlightuserdata(L, &errno);
  lua_setglobal(L, "light");
  return L;
}

/* Runs source, which returns values; they are left on the stack. */
static int run(lua_State *L, const char *source) {
  int top = lua_gettop(L);
  if (luaL_loadstring(L, source) != LUA_OK || lua_pcall(L, 0, LUA_MULTRET, 0) != LUA_OK) {
    fprintf(stderr, "%s\n%s\n", source, lua_tostring(L, -1));
    exit(1);
  }
  return lua_gettop(L) - top;
}

static void encode(lua_State *L, const char *source, struct ls_buf *out) {
  int count = run(L, source);
  ls_buf_init(out);
  CHECK_INT(ls_clone_encode(L, -count, count, "args", out), 0);
  lua_pop(L, count);
}

/* Copies what source returns to another state, where it is passed to check, a chunk, as "...". */
static void copied(const char *source, const char *check) {
  lua_State *from = new_state(), *to = new_state();
  struct ls_buf message;
  encode(from, source, &message);
  CHECK_INT(lua_gettop(from), 0);
  lua_close(from);
  CHECK_INT(luaL_loadstring(to, check), LUA_OK);
  int count = ls_clone_decode(to, message.data, message.len);
  CHECK(count >= 0);
  CHECK_INT(lua_gettop(to), count + 1);
  if (lua_pcall(to, count, 0, 0) != LUA_OK) {
    fprintf(stderr, "%s\n%s\n%s\n", source, check, lua_tostring(to, -1));
    exit(1);
  }
  lua_close(to);
  ls_buf_dispose(&message);
}

static void refused(const char *source, const char *text) {
  lua_State *L = new_state();
  struct ls_buf out;
  ls_buf_init(&out);
  int count = run(L, source);
  CHECK_INT(ls_clone_encode(L, 1, count, "args", &out), -EINVAL);
  CHECK_INT(lua_gettop(L), count);
  CHECK_BYTES(out.data, out.len, text);
  ls_buf_dispose(&out);
  lua_close(L);
}

static void scalars_arrive_as_they_were(void) {
  copied("return", "assert(select('#', ...) == 0)");
  copied("return nil, true, false, nil",
         "local n, a, b, c = ... assert(select('#', ...) == 4 and n == nil and a == true and b == false and c == nil)");
  copied(
      "return 0, 127, 128, -1, -128, -129, 32767, 32768, -32769, 2147483647, 2147483648, -2147483649,"
      "math.maxinteger, math.mininteger",
      "local e = {0, 127, 128, -1, -128, -129, 32767, 32768, -32769, 2147483647, 2147483648, -2147483649,"
      "math.maxinteger, math.mininteger} for i, v in ipairs{...} do assert(e[i] == v, v)"
      "assert(math.type(v) == 'integer') end assert(select('#', ...) == #e)");
  copied("return 1.0, -0.0, 0/0, 1/0, -1/0, 0.1, 2^53, 5e-324",
         "local e = {1.0, -0.0, 0/0, 1/0, -1/0, 0.1, 2^53, 5e-324} for i = 1, #e do local v = select(i, ...)"
         "assert(math.type(v) == 'float' and string.pack('n', v) == string.pack('n', e[i])"
         " or v ~= v and e[i] ~= e[i]) end");
  copied("return '', 'x', '\\0\\255', ('a'):rep(63), ('b'):rep(64), ('c'):rep(300000)",
         "local a, b, c, d, e, f = ... assert(a == '' and b == 'x' and c == '\\0\\255' and d == ('a'):rep(63)"
         "and e == ('b'):rep(64) and f == ('c'):rep(300000))");
}

static void tables_arrive_with_all_keys(void) {
  copied("return {}, {1, 2, 3}, {a = 1, b = {c = 'd'}}, {1, 2, x = 3, [10] = 4, [-1] = 5, [1.5] = 6, [true] = 7}",
         "local a, b, c, d = ... assert(next(a) == nil and #b == 3 and b[3] == 3 and c.a == 1 and c.b.c == 'd')"
         "assert(d[1] == 1 and d[2] == 2 and d.x == 3 and d[10] == 4 and d[-1] == 5 and d[1.5] == 6 and d[true] == 7)");
  copied("local t = {} for i = 10, 1, -1 do t[i] = i end t[5] = nil return t",
         "local t = ... for i = 1, 10 do assert(t[i] == (i ~= 5 and i or nil)) end");
  copied("local t = {} for i = 1, 1000 do t[i] = {i, 'k' .. i} t['x' .. i] = i end return t",
         "local t = ... for i = 1, 1000 do assert(t[i][1] == i and t[i][2] == 'k' .. i and t['x' .. i] == i) end");
}

static void a_table_can_be_a_key(void) {
  copied("local k = {1, {2}} return {[k] = {k = k}, [{}] = 'x'}",
         "local n = 0 for k, v in pairs(...) do n = n + 1 if v ~= 'x' then assert(k[2][1] == 2 and v.k == k) end end"
         " assert(n == 2)");
  copied("local k = {} return k, {[k] = k}", "local k, t = ... assert(t[k] == k)");
}

static void identity_is_kept_within_a_message(void) {
  copied("local t = {} t.self = t return t, t", "local a, b = ... assert(a == b and a.self == a)");
  copied("local s = {1} return {s, s, {s}}", "local t = ... assert(t[1] == t[2] and t[3][1] == t[1] and t[1][1] == 1)");
  copied("local all = {} for i = 1, 500 do all[i] = {i} end return all, {table.unpack(all)}",
         "local a, b = ... for i = 1, 500 do assert(a[i] == b[i] and a[i][1] == i) end");
  copied("local a, b = {}, {} a.b, b.a = b, a return a", "local a = ... assert(a.b.a == a and a.b ~= a)");
}

static void marks_arrive(void) {
  copied("return null, light_null, {null}, setmetatable({}, array_mt), setmetatable({x = {}}, object_mt)",
         "local n, l, t, a, o = ... assert(n == null and l == light_null and t[1] == null)"
         "assert(getmetatable(a) == array_mt and getmetatable(o) == object_mt and getmetatable(o.x) == nil)");
}

static void metamethods_do_not_run(void) {
  copied(
      "local calls = 0 local t = {1, x = 2} for _, mt in ipairs{array_mt} do mt.__index = error mt.__len = error"
      " mt.__pairs = error mt.__metatable = false end return setmetatable(t, array_mt)",
      "local t = ... assert(t[1] == 1 and t.x == 2 and getmetatable(t) == array_mt)");
}

static void what_cannot_be_copied_is_named(void) {
  refused("return print", "cannot copy a function at args[1]");
  refused("return 1, {on_click = print}", "cannot copy a function at args[2].on_click");
  refused("return {{}, {x = {coroutine.create(print)}}}", "cannot copy a coroutine at args[1][2].x[1]");
  refused("return {['content type'] = io.stdout}", "cannot copy a userdata at args[1][\"content type\"]");
  refused("return {[true] = {[1.5] = light}}", "cannot copy a light userdata at args[1][true][1.5]");
  refused("return {[print] = 1}", "cannot copy a function at args[1][<key: function>]");
  refused("return {[{x = print}] = 1}", "cannot copy a function at args[1][<key: table>].x");
  refused("return {[{}] = {print}}", "cannot copy a function at args[1][<table>][1]");
  refused("return {a = setmetatable({}, {__name = 'x'})}", "cannot copy a table with a metatable at args[1].a");
  refused("return {[setmetatable({}, {})] = 1}", "cannot copy a table with a metatable at args[1][<key: table>]");
  refused("return {[('k'):rep(100)] = print}",
          "cannot copy a function at args[1][\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...\"]");
  refused("local t = print for i = 1, 100 do t = {t} end return t",
          "cannot copy a function at args[1][1][1][1][1][1][1][1][1][1]...[1][1][1][1][1][1][1][1][1][1]");
}

static void depth_has_a_limit_and_needs_no_c_stack(void) {
  copied("local t = {} for i = 1, 199999 do t = {t} end return t",
         "local t, n = ..., 0 while t do t, n = t[1], n + 1 end assert(n == 200000, n)");
  copied("local t = {} for i = 1, 199999 do t = {[t] = 1} end return t",
         "local t, n = ..., 0 while t do t, n = next(t), n + 1 end assert(n == 200000, n)");
  refused("local t = {} for i = 1, 200000 do t = {x = t} end return t",
          "cannot copy tables nested deeper than 200000 at args[1].x.x.x.x.x.x.x.x.x....x.x.x.x.x.x.x.x.x.x");
}

static const char *const everything =
    "local s = {1} return {s, s, {['a b'] = 1.5, [s] = s}, null, ('x'):rep(100), -5, 300, 70000, 2^40 | 0},"
    "setmetatable({}, array_mt), nil, true, light_null";

/* A memory block of exactly the size, so that a sanitizer sees a read beyond it. */
static int decode_exact(lua_State *L, const char *bytes, size_t size) {
  char *copy = malloc(size > 0 ? size : 1);
  CHECK(copy != NULL);
  memcpy(copy, bytes, size);
  int top = lua_gettop(L);
  int count = ls_clone_decode(L, copy, size);
  free(copy);
  CHECK_INT(lua_gettop(L), count >= 0 ? top + count : top);
  lua_settop(L, top);
  return count;
}

static void a_message_that_ends_early_is_an_error(void) {
  lua_State *L = new_state();
  struct ls_buf message;
  encode(L, everything, &message);
  CHECK_INT(decode_exact(L, message.data, message.len), 5);
  for (size_t size = 0; size < message.len; size++)
    CHECK_INT(decode_exact(L, message.data, size), -EBADMSG);
  ls_buf_dispose(&message);
  lua_close(L);
}

/* It decodes to something or is an error, and reads nothing beyond its end. */
static void a_damaged_message_does_no_harm(void) {
  lua_State *L = new_state();
  struct ls_buf message;
  encode(L, everything, &message);
  for (size_t i = 0; i < message.len; i++) {
    char byte = message.data[i];
    for (int value = 0; value < 256; value++) {
      message.data[i] = (char)value;
      decode_exact(L, message.data, message.len);
    }
    message.data[i] = byte;
  }
  ls_buf_dispose(&message);
  lua_close(L);
}

/* An allocator whose allocations fail after so many; negative: none does. */
struct allowance {
  int left;
};

static void *allocate(void *ud, void *block, size_t old_size, size_t new_size) {
  struct allowance *allowance = ud;
  (void)old_size;
  if (new_size == 0) {
    free(block);
    return NULL;
  }
  if (allowance->left == 0 && (block == NULL || new_size > old_size))
    return NULL;
  if (allowance->left > 0)
    allowance->left--;
  return realloc(block, new_size);
}

static int l_decode(lua_State *L) {
  const struct ls_buf *message = lua_touserdata(L, 1);
  return ls_clone_decode(L, message->data, message->len);
}

/* Each allocation of the decoder fails once: it raises, and a later try works. */
static void decoding_survives_a_lack_of_memory(void) {
  lua_State *from = new_state();
  struct ls_buf message;
  encode(from,
         "local s = {1} local t = {s, s, x = {y = {z = 'k'}}, null, setmetatable({}, array_mt)} "
         "for i = 1, 40 do t = {t, i} end return t",
         &message);
  lua_close(from);
  int failures = 0;
  for (int allowed = 0;; allowed++) {
    struct allowance allowance = {-1};
    lua_State *L = lua_newstate(allocate, &allowance);
    CHECK(L != NULL);
    lua_pushcfunction(L, l_decode);
    lua_pushlightuserdata(L, &message);
    allowance.left = allowed;
    int status = lua_pcall(L, 1, 1, 0);
    allowance.left = -1;
    CHECK(status == LUA_OK || status == LUA_ERRMEM);
    lua_close(L);
    if (status == LUA_OK)
      break;
    failures++;
  }
  CHECK(failures > 50);
  ls_buf_dispose(&message);
}

/* The encoder takes memory from Lua only for its stack: it is a code then, and the stack is as it was. */
static void encoding_survives_a_lack_of_stack(void) {
  struct allowance allowance = {-1};
  lua_State *L = lua_newstate(allocate, &allowance);
  CHECK(L != NULL);
  run(L, "local t = {} local s = t for i = 1, 1000 do s[1] = {} s = s[1] end return t");
  struct ls_buf out;
  ls_buf_init(&out);
  allowance.left = 0;
  CHECK_INT(ls_clone_encode(L, 1, 1, "args", &out), -ENOMEM);
  allowance.left = -1;
  CHECK_INT(lua_gettop(L), 1);
  ls_buf_clear(&out);
  CHECK_INT(ls_clone_encode(L, 1, 1, "args", &out), 0);
  CHECK_INT(ls_clone_decode(L, out.data, out.len), 1);
  ls_buf_dispose(&out);
  lua_close(L);
}

int main(void) {
  RUN(scalars_arrive_as_they_were);
  RUN(tables_arrive_with_all_keys);
  RUN(a_table_can_be_a_key);
  RUN(identity_is_kept_within_a_message);
  RUN(marks_arrive);
  RUN(metamethods_do_not_run);
  RUN(what_cannot_be_copied_is_named);
  RUN(depth_has_a_limit_and_needs_no_c_stack);
  RUN(a_message_that_ends_early_is_an_error);
  RUN(a_damaged_message_does_no_harm);
  RUN(decoding_survives_a_lack_of_memory);
  RUN(encoding_survives_a_lack_of_stack);
  return 0;
}
