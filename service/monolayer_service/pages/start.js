// Relative addresses: the page also works behind a proxy that serves it under a prefix.
SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
