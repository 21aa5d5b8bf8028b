/* SPDX-License-Identifier: Apache-2.0 */
/**
 * many_rooms: lists the rooms that a store has, as structs, without a homeserver; prints how many,
 * how many invitations, and how many names are as they should be. MATRIX_STORE.
 */
#include "people.h"

int main(void) {
    matrix_map *options = matrix_map_new();
    matrix_client client = {0};
    matrix_reply *reply;
    const matrix_value *rooms;
    const char *last = "";
    size_t invites = 0, names = 0;

    context = open_context();
    CHECK_OK(matrix_map_set_string(options, "homeserver", "http://127.0.0.1:9"));
    CHECK_OK(matrix_map_set_string(options, "user_id", "@me:localhost"));
    CHECK_OK(matrix_map_set_string(options, "access_token", "token"));
    CHECK_OK(matrix_map_set_string(options, "store_path", env("MATRIX_STORE")));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    reply = take_ok(ASK(matrix_rooms(client, NULL, NULL, NULL, &request)));
    rooms = matrix_value_get(matrix_reply_value(reply), "rooms");
    for (size_t i = 0; i < matrix_value_count(rooms); i++) {
        const matrix_room *room = matrix_reply_as_room(reply, matrix_value_at(rooms, i));
        char name[32];

        CHECK(strcmp(last, room->room_id) < 0);
        last = room->room_id;
        invites += room->membership == MATRIX_MEMBERSHIP_INVITE;
        snprintf(name, sizeof name, "Room %.5s", room->room_id + 1);
        names += !strcmp(room->name, name);
    }
    printf("%zu\t%zu\t%zu\n", matrix_value_count(rooms), invites, names);
    matrix_reply_free(reply);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
