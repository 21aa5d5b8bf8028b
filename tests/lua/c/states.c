/*
 * A Lua module for tests: more lua_States in the process of an interpreter, also in threads and
 * with an allocator that fails. It is compiled against each ABI and uses the interpreter's own Lua.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define MAX_THREADS 16

struct job {
    const char *code;
    int index;
    char *problem;
};

static char *copy(const char *text) {
    size_t size = strlen(text != NULL ? text : "?") + 1;
    return memcpy(malloc(size), text != NULL ? text : "?", size);
}

/* Runs the code in `L` with one number as its argument; NULL, or what went wrong. */
static char *run_in(lua_State *L, const char *code, int index) {
    char *problem = NULL;
    luaL_openlibs(L);
    if (luaL_loadstring(L, code) == 0) {
        lua_pushinteger(L, index);
        if (lua_pcall(L, 1, 0, 0) == 0)
            return NULL;
    }
    problem = copy(lua_tostring(L, -1));
    return problem;
}

static void *run_job(void *data) {
    struct job *job = data;
    lua_State *L = luaL_newstate();
    job->problem = run_in(L, job->code, job->index);
    lua_close(L);
    return NULL;
}

static void raise_problem(lua_State *L, char *problem) {
    if (problem == NULL)
        return;
    lua_pushstring(L, problem);
    free(problem);
    lua_error(L);
}

/* run(code): in a new state, which is closed after it */
static int run(lua_State *L) {
    struct job job = {luaL_checkstring(L, 1), 0, NULL};
    run_job(&job);
    raise_problem(L, job.problem);
    return 0;
}

/* threads(code, count): in so many states and threads at once; each is told its number */
static int threads(lua_State *L) {
    struct job jobs[MAX_THREADS];
    pthread_t ids[MAX_THREADS];
    int count = (int)luaL_checkinteger(L, 2);
    const char *code = luaL_checkstring(L, 1);
    luaL_argcheck(L, count <= MAX_THREADS, 2, "too many");
    for (int i = 0; i < count; i++) {
        jobs[i] = (struct job){code, i + 1, NULL};
        if (pthread_create(&ids[i], NULL, run_job, &jobs[i]) != 0)
            return luaL_error(L, "no thread");
    }
    for (int i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
    for (int i = 0; i < count; i++)
        raise_problem(L, jobs[i].problem);
    return 0;
}

/* Allocations until the next failure; negative: without end. */
static _Thread_local long allowed = -1;

static void *allocate(void *data, void *block, size_t old_size, size_t size) {
    (void)data;
    if (size == 0) {
        free(block);
        return NULL;
    }
    if (block == NULL || size > old_size) {
        if (allowed == 0)
            return NULL;
        if (allowed > 0)
            allowed--;
    }
    return realloc(block, size);
}

static lua_State *new_limited_state(void) {
#if LUA_VERSION_NUM >= 505
    return lua_newstate(allocate, NULL, 1);
#else
    return lua_newstate(allocate, NULL);
#endif
}

static int call_global(lua_State *L, const char *name, long limit) {
    lua_getglobal(L, name);
    allowed = limit;
    int status = lua_pcall(L, 0, 0, 0);
    allowed = -1;
    return status;
}

/* starve(code, rounds): the code sets attempt() and verify(); attempt may fail for memory, verify
 * must pass */
static int starve(lua_State *L) {
    lua_State *poor = new_limited_state();
    long rounds = (long)luaL_checkinteger(L, 2), failed = 0;
    if (poor == NULL)
        return luaL_error(L, "no state");
    char *problem = run_in(poor, luaL_checkstring(L, 1), 0);
    for (long round = 0; problem == NULL && round < rounds; round++) {
        failed += call_global(poor, "attempt", round) != 0;
        lua_settop(poor, 0);
        if (call_global(poor, "verify", -1) != 0)
            problem = copy(lua_tostring(poor, -1));
    }
    lua_close(poor);
    raise_problem(L, problem);
    lua_pushinteger(L, failed);
    return 1;
}

__attribute__((visibility("default"))) int luaopen_states(lua_State *L);

int luaopen_states(lua_State *L) {
    lua_newtable(L);
    lua_pushcfunction(L, run);
    lua_setfield(L, -2, "run");
    lua_pushcfunction(L, threads);
    lua_setfield(L, -2, "threads");
    lua_pushcfunction(L, starve);
    lua_setfield(L, -2, "starve");
    return 1;
}
