/* The firmware of every board. */
#include "grsn_app.h"

int main(void);

int main(void)
{
    static grsn_app_t app;
    grsn_port_init();
    grsn_app_init(&app);
    for (;;) {
        grsn_app_poll(&app);
    }
}
