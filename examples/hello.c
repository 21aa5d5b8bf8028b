/* Says hello in a room. MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD, MATRIX_ROOM (its id). */
#include <matrix/matrix.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *user = getenv("MATRIX_USER"), *password = getenv("MATRIX_PASSWORD");
    matrix_context context;
    matrix_client client;
    matrix_request request;
    matrix_reply *login, *hello;
    matrix_map *options = matrix_map_new();
    matrix_init(NULL, &context);
    matrix_map_set_string(options, "homeserver", getenv("MATRIX_HOMESERVER"));
    if (matrix_create_client(context, options, &client) < 0)
        return fprintf(stderr, "%s\n", matrix_map_error(options)), 1;
    matrix_login_password(client, user, password, NULL, NULL, NULL, &request);
    if (matrix_wait(request, -1, &login) < 0 || !matrix_reply_ok(login))
        return fprintf(stderr, "%s\n", matrix_reply_error(login)->message), 1;
    matrix_send_text(client, getenv("MATRIX_ROOM"), "hello", NULL, NULL, NULL, &request);
    matrix_wait(request, -1, &hello);
    bool said = matrix_reply_ok(hello);
    puts(said ? "said hello" : matrix_reply_error(hello)->message);
    matrix_logout(client, NULL, NULL, NULL, &request);
    matrix_wait(request, -1, NULL);
    matrix_reply_free(login), matrix_reply_free(hello), matrix_map_free(options);
    return matrix_shutdown(context, 2000) < 0 || !said;
}
